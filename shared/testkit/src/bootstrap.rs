//! Runs a bootstrap as a process of its own: starts it, measures it by the kernel's figures, and ends it.

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

/// A running bootstrap. Dropping this ends the process.
#[derive(Debug)]
pub struct Bootstrap {
    child: Child,
    pid: u32,
    started: Instant,
    log: JoinHandle<u64>,
}

impl Bootstrap {
    /// Starts a program on a core of its own, with this environment and nothing else. The calling thread returns to
    /// `own_core` afterwards. The program's log is read through a pipe, as Lambda does, and discarded.
    ///
    /// # Errors
    /// When the process cannot be started.
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
        // A child process inherits the core of the thread that starts it.
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

    /// When the process was started.
    #[must_use]
    pub fn started(&self) -> Instant {
        self.started
    }

    /// CPU time of all threads of the process so far.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn cpu(&self) -> io::Result<Duration> {
        Process::of(self.pid).cpu()
    }

    /// The peak memory of the process, in bytes.
    ///
    /// # Errors
    /// When the process is gone or the kernel does not report the value.
    pub fn peak_memory(&self) -> io::Result<u64> {
        Process::of(self.pid).peak_memory()
    }

    /// Ends the process and returns how many bytes it logged.
    ///
    /// # Errors
    /// When the process cannot be ended.
    pub async fn end(mut self) -> io::Result<u64> {
        self.child.kill().await?;
        self.log.await.map_err(io::Error::other)
    }
}
