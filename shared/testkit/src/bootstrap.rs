//! A bootstrap as a process of its own: started, measured by what the kernel knows of it, ended.

use std::{
    io,
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use tokio::{
    io::AsyncReadExt,
    process::{Child, Command},
    task::JoinHandle,
};

use crate::{loopback::pin_to, process::Process};

/// A running bootstrap; it is ended when this is dropped.
#[derive(Debug)]
pub struct Bootstrap {
    child: Child,
    pid: u32,
    started: Instant,
    log: JoinHandle<u64>,
}

impl Bootstrap {
    /// Starts a program with this environment and no other, on a core of its own; the calling thread goes back to
    /// `own_core`. What it logs is read through a pipe, as Lambda does, and thrown away.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(
        program: &Path,
        environment: &[(&'static str, String)],
        core: usize,
        own_core: usize,
    ) -> io::Result<Self> {
        let mut command = Command::new(program);
        command
            .env_clear()
            .envs(environment.iter().map(|(name, value)| (*name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        // A child inherits where its parent's thread may run.
        pin_to(core)?;
        let started = Instant::now();
        let child = command.spawn();
        pin_to(own_core)?;
        let mut child = child?;
        let pid = child
            .id()
            .ok_or_else(|| io::Error::other("the bootstrap ended at once"))?;
        let output = child.stdout.take();
        let log = tokio::spawn(async move {
            let (mut read, mut piece) = (0_u64, vec![0; 64 * 1024]);
            if let Some(mut output) = output {
                while let Ok(bytes @ 1..) = output.read(&mut piece).await {
                    read += u64::try_from(bytes).unwrap_or(u64::MAX);
                }
            }
            read
        });
        Ok(Self {
            child,
            pid,
            started,
            log,
        })
    }

    /// When it was started.
    #[must_use]
    pub fn started(&self) -> Instant {
        self.started
    }

    /// CPU time of all its threads so far.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn cpu(&self) -> io::Result<Duration> {
        Process::of(self.pid).cpu()
    }

    /// The most memory it ever held, in bytes.
    ///
    /// # Errors
    /// When the process is gone or the kernel does not say.
    pub fn peak_memory(&self) -> io::Result<u64> {
        Process::of(self.pid).peak_memory()
    }

    /// Ends it; answers how many bytes it logged.
    ///
    /// # Errors
    /// When it cannot be ended.
    pub async fn end(mut self) -> io::Result<u64> {
        self.child.kill().await?;
        self.log.await.map_err(io::Error::other)
    }
}
