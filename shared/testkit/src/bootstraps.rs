//! The running bootstraps of a local AWS. A test can kill one with SIGKILL, as an out-of-memory kill or a lost machine
//! would.
//!
//! Only processes of one process group are looked at: the group of the local AWS, whose id `make test` provides.
//! Without `/proc` (on any system but Linux) no process is found and none is killed.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
};

use crate::stack::BoxError;

/// The file name of every function's program.
const NAME: &str = "bootstrap";

/// The bootstraps of one local AWS.
#[derive(Debug, Clone, Copy)]
pub struct Bootstraps {
    group: u32,
}

/// A running bootstrap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bootstrap {
    pid: u32,
    /// The start time. With the process id it identifies the process, because the system reuses ids.
    started: String,
}

impl Bootstraps {
    /// The bootstraps of this process group.
    #[must_use]
    pub fn of_group(group: u32) -> Self {
        Self { group }
    }

    /// All bootstraps that are running now.
    #[must_use]
    pub fn running(&self) -> Vec<Bootstrap> {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        entries
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .filter_map(|pid| self.bootstrap(pid))
            .collect()
    }

    /// The bootstrap that holds this end of a connection, which is the function that made the call in progress on it.
    #[must_use]
    pub fn holding(&self, local: SocketAddr) -> Option<Bootstrap> {
        let inode = socket_inode(local)?;
        let socket = PathBuf::from(format!("socket:[{inode}]"));
        self.running().into_iter().find(|one| {
            let descriptors = fs::read_dir(format!("/proc/{}/fd", one.pid));
            descriptors
                .into_iter()
                .flatten()
                .flatten()
                .any(|entry| fs::read_link(entry.path()).is_ok_and(|target| target == socket))
        })
    }

    /// Kills the process at once. Returns false if it is already gone.
    ///
    /// # Errors
    /// When the system refuses to kill it.
    pub async fn kill(&self, one: &Bootstrap) -> Result<bool, BoxError> {
        // The system reuses process ids: kill only the same process that was seen.
        if self.bootstrap(one.pid).as_ref() != Some(one) {
            return Ok(false);
        }
        let mut command = tokio::process::Command::new("kill");
        command.args(["-KILL", &one.pid.to_string()]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        Ok(command.status().await?.success())
    }

    fn bootstrap(&self, pid: u32) -> Option<Bootstrap> {
        let folder = PathBuf::from(format!("/proc/{pid}"));
        let (group, started) = group_and_start(&fs::read_to_string(folder.join("stat")).ok()?)?;
        let program = fs::read_link(folder.join("exe")).ok()?;
        let is_bootstrap = program.file_name() == Some(Path::new(NAME).as_os_str());
        (group == self.group && is_bootstrap).then_some(Bootstrap { pid, started })
    }
}

impl Bootstrap {
    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }
}

/// Process group and start time from `/proc/PID/stat`; `None` for a process that has ended and waits to be reaped.
fn group_and_start(stat: &str) -> Option<(u32, String)> {
    // The name in parentheses may contain anything, blanks included: the fields are counted from after it.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    if *fields.first()? == "Z" {
        return None;
    }
    Some((fields.get(2)?.parse().ok()?, (*fields.get(19)?).to_owned()))
}

/// The inode of an IPv4 socket by its local address.
fn socket_inode(local: SocketAddr) -> Option<u64> {
    let SocketAddr::V4(local) = local else {
        return None;
    };
    let address = u32::from_ne_bytes(local.ip().octets());
    let wanted = format!("{address:08X}:{:04X}", local.port());
    let table = fs::read_to_string("/proc/net/tcp").ok()?;
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        (*fields.get(1)? == wanted)
            .then(|| fields.get(9)?.parse().ok())
            .flatten()
            .filter(|inode| *inode != 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn group_and_start_are_read_behind_whatever_name() {
        let rest = "S 1 4242 4242 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 987654 0 0";
        let read = group_and_start(&format!("17 (odd ) name) {rest}"));
        assert_eq!(read, Some((4242, "987654".to_owned())));
        assert_eq!(group_and_start("17 (x) Z 1 4242 4242"), None);
    }

    #[test]
    fn nobody_elses_processes_are_found() {
        assert_eq!(Bootstraps::of_group(u32::MAX).running(), Vec::new());
    }

    #[tokio::test]
    async fn what_was_not_seen_is_not_killed() {
        let gone = Bootstrap {
            pid: std::process::id(),
            started: "never".into(),
        };
        let killed = Bootstraps::of_group(1).kill(&gone).await;
        assert!(!killed.expect("answers"));
    }
}
