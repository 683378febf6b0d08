//! The machine that the figures were measured on.

use serde_json::{Value, json};

/// Load above which other programs are at work and figures mean little.
const QUIET_LOAD: f64 = 0.5;

/// Number of cores that other programs may keep busy during a bench.
const QUIET_CORES: f64 = 0.1;

/// The line of a table with the cores that other programs kept busy.
pub fn interference(cores: Option<f64>) -> String {
    let Some(cores) = cores else {
        return String::new();
    };
    let warning = if cores > QUIET_CORES {
        "\nWARNING: other programs were at work: do not use a figure of this run"
    } else {
        ""
    };
    format!("others kept {cores:.2} cores busy meanwhile{warning}\n")
}

/// The machine and its state before the start.
#[derive(Debug, Clone)]
pub struct Machine {
    /// The processor's own name.
    pub cpu: String,
    /// Number of threads that the system gives this process.
    pub cores: usize,
    /// Instruction set that our kernels use.
    pub isa: String,
    /// Measured multiply-adds on registers, all cores: 10⁹ operations per second.
    pub peak: multirnet_kernels::peak::Peak,
    /// Mean number of busy threads over the minute before.
    pub load: Option<f64>,
    /// Memory in GiB.
    pub memory_gib: Option<f64>,
}

fn field(file: &str, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find(|l| l.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

impl Machine {
    /// Describes the machine and measures its peaks (about a second).
    pub fn measure() -> Self {
        // The load is read before the measurement, which causes load itself.
        let load = std::fs::read_to_string("/proc/loadavg")
            .ok()
            .and_then(|l| l.split_whitespace().next()?.parse().ok());
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let kib = field("/proc/meminfo", "MemTotal")
            .and_then(|m| m.split_whitespace().next()?.parse::<f64>().ok());
        let cpu = field("/proc/cpuinfo", "model name")
            .unwrap_or_else(|| std::env::consts::ARCH.to_owned());
        let (family, model) = (
            field("/proc/cpuinfo", "cpu family").unwrap_or_default(),
            field("/proc/cpuinfo", "model\t").unwrap_or_default(),
        );
        Self {
            cpu: format!("{cpu} (family {family}, model {model})"),
            cores,
            isa: format!("{:?}", multirnet_kernels::isa()),
            peak: multirnet_kernels::peak::peak(cores),
            load,
            memory_gib: kib.map(|k| k / 1024.0 / 1024.0),
        }
    }

    /// As JSON.
    pub fn json(&self) -> Value {
        json!({
            "cpu": self.cpu, "cores": self.cores, "isa": self.isa, "memory_gib": self.memory_gib,
            "peak_f32_gflops": self.peak.f32_gflops, "peak_bf16_gflops": self.peak.bf16_gflops,
            "load_before": self.load,
        })
    }
}

impl std::fmt::Display for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, {} cores", self.cpu, self.cores)?;
        if let Some(memory) = self.memory_gib {
            write!(f, ", {memory:.0} GiB")?;
        }
        write!(
            f,
            ", our kernels use {}\nmeasured peak of all cores: f32 {:.0} GFLOP/s",
            self.isa, self.peak.f32_gflops
        )?;
        if let Some(bf16) = self.peak.bf16_gflops {
            write!(f, ", bf16 {bf16:.0} GFLOP/s")?;
        }
        if let Some(load) = self.load {
            write!(f, "; load before the start {load:.2}")?;
            if load > QUIET_LOAD {
                write!(f, " (WARNING: over {QUIET_LOAD})")?;
            }
        }
        Ok(())
    }
}
