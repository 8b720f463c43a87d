//! The standard `process_*` set (Prometheus, "Writing client libraries"). Reads `/proc/self` on Linux; what the system
//! cannot tell is left out, never 0.

use super::{Family, Kind, Source};

/// What the system says of this process.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Process {
    /// User and system time, seconds.
    pub cpu_seconds: Option<f64>,
    /// Open file descriptors.
    pub open_fds: Option<f64>,
    /// Their limit.
    pub max_fds: Option<f64>,
    /// Bytes.
    pub resident_memory: Option<f64>,
    /// Bytes.
    pub virtual_memory: Option<f64>,
    /// Unix seconds.
    pub start_time: Option<f64>,
    /// Threads.
    pub threads: Option<f64>,
}

macro_rules! family {
    ($name:literal, $kind:expr, $help:literal, $field:ident) => {
        Family {
            name: $name,
            kind: $kind,
            labels: &[],
            help: $help,
            cap: 1,
            source: Source::Exporter(|whole, rows| {
                if let Some(value) = whole.process.and_then(|process| process.$field) {
                    rows.add([], value);
                }
            }),
        }
    };
}

pub(super) const FAMILIES: &[Family] = &[
    family!("process_cpu_seconds_total", Kind::Counter, "Total user and system CPU time.", cpu_seconds),
    family!("process_open_fds", Kind::Gauge, "Open file descriptors.", open_fds),
    family!("process_max_fds", Kind::Gauge, "Most open file descriptors allowed.", max_fds),
    family!("process_resident_memory_bytes", Kind::Gauge, "Resident memory.", resident_memory),
    family!("process_virtual_memory_bytes", Kind::Gauge, "Virtual memory.", virtual_memory),
    family!("process_start_time_seconds", Kind::Gauge, "Start of the process, Unix time.", start_time),
    family!("process_threads", Kind::Gauge, "Threads of the process.", threads),
];

/// Reads it now. The files are in memory: no disk is touched. Elsewhere than on Linux nobody vouches for such a path: on Windows
/// whoever may make a folder on the drive could write it.
pub fn read() -> Option<Process> {
    if !cfg!(target_os = "linux") {
        return None;
    }
    let text = |path: &str| std::fs::read_to_string(path).ok();
    let stat = text("/proc/self/stat")?;
    let boot = text("/proc/stat");
    let limits = text("/proc/self/limits");
    let open_fds = std::fs::read_dir("/proc/self/fd").ok().map(|entries| entries.count() as f64);
    Some(decode(&stat, boot.as_deref(), limits.as_deref(), open_fds))
}

/// Clock ticks a second in `/proc`: USER_HZ, 100 on every Linux architecture that Rust supports (proc(5), time(7)).
const TICKS: f64 = 100.0;

fn decode(stat: &str, boot: Option<&str>, limits: Option<&str>, open_fds: Option<f64>) -> Process {
    // The command may hold spaces and parentheses: the fields start after the last one. Field 3 comes first (proc(5)).
    let fields: Vec<&str> = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3).and_then(|text| text.parse::<f64>().ok());
    let boot_time = boot.and_then(|text| {
        text.lines().find_map(|line| line.strip_prefix("btime ")).and_then(|value| value.trim().parse().ok())
    });
    let max_fds = limits.and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("Max open files"))?;
        line.split_whitespace().nth(3)?.parse().ok()
    });
    Process {
        cpu_seconds: field(14).zip(field(15)).map(|(user, system)| (user + system) / TICKS),
        open_fds,
        max_fds,
        resident_memory: field(24).map(|pages| pages * PAGE),
        virtual_memory: field(23),
        start_time: field(22).zip(boot_time).map(|(ticks, boot): (f64, f64)| boot + ticks / TICKS),
        threads: field(20),
    }
}

/// Bytes of a page on x86-64, and the usual size on AArch64.
const PAGE: f64 = 4_096.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_proc() {
        let stat =
            "7 (a (b) c) S 1 7 7 0 -1 4194560 1 0 0 0 250 50 0 0 20 0 3 0 6000 8192000 700 184467 1 1 0 0 0";
        let limits = "Limit  Soft Limit  Hard Limit  Units\nMax open files            1024                 4096                 files\n";
        let process = decode(stat, Some("cpu 1\nbtime 1000\n"), Some(limits), Some(9.0));
        assert_eq!(
            process,
            Process {
                cpu_seconds: Some(3.0),
                open_fds: Some(9.0),
                max_fds: Some(1024.0),
                resident_memory: Some(700.0 * 4096.0),
                virtual_memory: Some(8_192_000.0),
                start_time: Some(1060.0),
                threads: Some(3.0),
            }
        );
    }

    #[test]
    fn nonsense_is_no_sample() {
        assert_eq!(decode("", None, None, None), Process::default());
        assert_eq!(decode("1 (x) S a b", Some("btime x"), Some("Max open files"), None), Process::default());
    }
}
