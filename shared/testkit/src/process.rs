//! What the kernel reports about a process (Linux): its CPU time and its memory.

use std::{fs, io, time::Duration};

/// A process of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process {
    pid: u32,
}

impl Process {
    /// The process with this id.
    #[must_use]
    pub fn of(pid: u32) -> Self {
        Self { pid }
    }

    /// CPU time of all threads of the process so far, user and system: in nanoseconds if the scheduler keeps them, else
    /// `utime` + `stime`, which count in hundredths of a second.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn cpu(&self) -> io::Result<Duration> {
        let mut nanos = 0_u64;
        for thread in fs::read_dir(format!("/proc/{}/task", self.pid))? {
            let text = fs::read_to_string(thread?.path().join("schedstat"));
            let on_cpu = text
                .ok()
                .and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
            nanos += on_cpu.unwrap_or(0);
        }
        if nanos > 0 {
            return Ok(Duration::from_nanos(nanos));
        }
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid))?;
        // The fields are counted after the name, which may contain anything but ends with the last parenthesis: utime
        // is the 12th, stime the 13th.
        let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let ticks: u64 = fields
            .split_whitespace()
            .skip(11)
            .take(2)
            .filter_map(|field| field.parse::<u64>().ok())
            .sum();
        Ok(Duration::from_millis(ticks * 10))
    }

    /// The memory of the process now, in bytes.
    ///
    /// # Errors
    /// When the process is gone or the kernel does not report the value.
    pub fn memory(&self) -> io::Result<u64> {
        self.status("VmRSS:")
    }

    /// The peak memory of the process, in bytes.
    ///
    /// # Errors
    /// When the process is gone or the kernel does not report the value.
    pub fn peak_memory(&self) -> io::Result<u64> {
        self.status("VmHWM:")
    }

    fn status(&self, name: &str) -> io::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .and_then(|rest| rest.trim().strip_suffix(" kB"))
            .and_then(|kib| kib.trim().parse::<u64>().ok())
            .map(|kib| kib * 1024)
            .ok_or_else(|| io::Error::other(format!("no {name} in /proc")))
    }
}
