//! [`Procs`]: the processes of this machine, as `/proc` shows them.
//!
//! Owns the parsing of `stat`, `maps` and `fdinfo`, below a root that a test may choose. Calls nothing. Never
//! follows a path into a segment, and never fails: a process that has ended, or belongs to another user, is
//! left out.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The directory `/proc`, or a copy of its form.
#[derive(Clone, Debug)]
pub struct Procs {
    root: PathBuf,
}

/// A file that a process has mapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapped {
    pub pid: u32,
    /// Path of the file when it had a name, without the mark of a removed file.
    pub path: PathBuf,
    /// `true` if the file has no name.
    pub removed: bool,
    pub inode: u64,
}

/// A lock on bytes of a file that a process holds open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lock {
    pub path: PathBuf,
    /// First locked byte.
    pub start: u64,
    /// `true` for `flock`, which locks a whole file.
    pub whole: bool,
}

impl Default for Procs {
    fn default() -> Self {
        Procs { root: PathBuf::from("/proc") }
    }
}

impl Procs {
    /// Returns the processes below another root.
    pub fn at(root: &Path) -> Self {
        Procs { root: root.to_owned() }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns `true` if the root shows processes.
    pub fn is_mounted(&self) -> bool {
        self.root.join("self/stat").exists() || !self.all().is_empty()
    }

    /// Returns the ids of all processes.
    pub fn all(&self) -> Vec<u32> {
        let entries = fs::read_dir(&self.root).into_iter().flatten().flatten();
        let mut all: Vec<u32> =
            entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
        all.sort_unstable();
        all
    }

    fn text(&self, pid: u32, file: &str) -> String {
        let bytes = fs::read(self.root.join(pid.to_string()).join(file)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Returns the short name of a process, without control characters.
    pub fn name(&self, pid: u32) -> String {
        self.text(pid, "comm").trim_end().chars().filter(|c| !c.is_control()).collect()
    }

    /// Returns the state of a process: `T` if it is stopped, `t` if a debugger holds it.
    pub fn state(&self, pid: u32) -> Option<char> {
        self.text(pid, "stat").rsplit(") ").next().and_then(|rest| rest.chars().next())
    }

    /// Returns `true` if the process is stopped by a signal or a debugger.
    pub fn is_stopped(&self, pid: u32) -> bool {
        matches!(self.state(pid), Some('T' | 't'))
    }

    /// Returns the program of a process.
    pub fn program(&self, pid: u32) -> Option<PathBuf> {
        fs::read_link(self.root.join(pid.to_string()).join("exe")).ok()
    }

    /// Returns the segments that processes have mapped: the files below `dir`, once for each process.
    pub fn mapped(&self, dir: &Path) -> Vec<Mapped> {
        let mut found = BTreeMap::new();
        for pid in self.all() {
            for line in self.text(pid, "maps").lines() {
                let Some(mapped) = parse_mapping(pid, line, dir) else { continue };
                found.insert((pid, mapped.inode), mapped);
            }
        }
        found.into_values().collect()
    }

    /// Returns the paths that a process has mapped, of libraries and data.
    pub fn libraries(&self, pid: u32) -> Vec<String> {
        let maps = self.text(pid, "maps");
        let mut paths: Vec<String> =
            maps.lines().filter_map(|line| path_of(line)).map(str::to_owned).collect();
        paths.dedup();
        paths
    }

    /// Returns the locks that a process holds through its open files.
    pub fn locks(&self, pid: u32) -> Vec<Lock> {
        let home = self.root.join(pid.to_string());
        let entries = fs::read_dir(home.join("fdinfo")).into_iter().flatten().flatten();
        let mut found = Vec::new();
        for entry in entries {
            let info = fs::read_to_string(entry.path()).unwrap_or_default();
            let Some(lines) = info.contains("lock:").then_some(info.lines()) else { continue };
            let Ok(path) = fs::read_link(home.join("fd").join(entry.file_name())) else { continue };
            for line in lines {
                let Some(rest) = line.strip_prefix("lock:") else { continue };
                // `1: OFDLCK ADVISORY WRITE -1 00:1a:77 65536 65536`
                let fields: Vec<&str> = rest.split_whitespace().collect();
                let [_, kind, .., start, _] = fields[..] else { continue };
                let start = start.parse().unwrap_or(0);
                found.push(Lock { path: path.clone(), start, whole: kind == "FLOCK" });
            }
        }
        found
    }
}

/// Returns the path at the end of a line of `maps`.
fn path_of(line: &str) -> Option<&str> {
    line.find('/').map(|at| &line[at..])
}

fn parse_mapping(pid: u32, line: &str, dir: &Path) -> Option<Mapped> {
    const REMOVED: &str = " (deleted)";
    let path = path_of(line)?;
    let inode = line[..line.len() - path.len()].split_whitespace().last()?.parse().ok()?;
    let (path, removed) = path.strip_suffix(REMOVED).map_or((path, false), |path| (path, true));
    let path = Path::new(path);
    (path.parent() == Some(dir)).then(|| Mapped { pid, path: path.to_owned(), removed, inode })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_maps_name_segments() {
        let line =
            "7f2a-7f2b rw-s 00000000 00:1a 4711                       /dev/shm/shmcomm2_a%2Fb (deleted)";
        let expected = Mapped { pid: 7, path: "/dev/shm/shmcomm2_a%2Fb".into(), removed: true, inode: 4711 };
        assert_eq!(parse_mapping(7, line, Path::new("/dev/shm")), Some(expected));
        assert_eq!(parse_mapping(7, line, Path::new("/dev")), None);
        assert_eq!(parse_mapping(7, "7f2a-7f2b rw-p 00000000 00:00 0  [heap]", Path::new("/dev/shm")), None);
    }

    #[test]
    fn own_process_is_running_and_has_a_program() {
        let (procs, me) = (Procs::default(), std::process::id());
        assert!(procs.is_mounted() && procs.all().contains(&me));
        assert!(!procs.is_stopped(me));
        assert!(procs.program(me).is_some() && !procs.name(me).is_empty());
        assert!(!Procs::at(Path::new("/nowhere")).is_mounted());
    }
}
