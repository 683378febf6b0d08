//! `cargo xtask fuzz`: builds the targets of `fuzz/` with libFuzzer and runs them in turn.
//!
//! A folder keeps what was learnt: `corpus/TARGET`, `findings/TARGET-…` and `executions.csv` with a line
//! for each run. The next call goes on with it, and the table counts all runs.

use std::collections::BTreeMap;
use std::env;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// cargo-fuzz builds for a named target, in a folder beside the ordinary build.
const TRIPLE: &str = "x86_64-unknown-linux-gnu";
const HEADER: &str = "target,executions,seconds,slowest_s,peak_rss_mib,corpus,findings,sanitizer\n";
/// An input that takes longer is a finding.
const TIMEOUT_S: u32 = 10;
const RSS_LIMIT_MIB: u32 = 3072;

pub const USAGE: &str = "\
Run the fuzz targets in turn. Needs cargo-fuzz (`cargo install --locked cargo-fuzz`).

Usage: cargo xtask fuzz [--seconds N] [--targets A,B] [--out DIR] [--sanitizer address] [--programs DIR]

  --seconds N      time of each target (60); 0 only prints the table of all runs
  --targets A,B    these targets only
  --out DIR        corpus, findings and figures (target/fuzz)
  --sanitizer S    none or address, which is slower and needs a nightly toolchain (none)
  --programs DIR   run the fuzzers in DIR, copied from an earlier build, and build nothing";

struct Options {
    seconds: u32,
    targets: Option<Vec<String>>,
    out: PathBuf,
    sanitizer: String,
    programs: Option<PathBuf>,
}

impl Options {
    fn parse(root: &Path, arguments: &[String]) -> Result<Self, String> {
        let mut options = Self {
            seconds: 60,
            targets: None,
            out: root.join("target/fuzz"),
            sanitizer: "none".to_owned(),
            programs: None,
        };
        let mut rest = arguments.iter();
        while let Some(flag) = rest.next() {
            let value = rest
                .next()
                .ok_or_else(|| format!("{flag} needs a value\n\n{USAGE}"))?;
            match flag.as_str() {
                "--seconds" => {
                    options.seconds = value
                        .parse()
                        .map_err(|_| format!("--seconds {value} is not a number of seconds"))?;
                }
                "--targets" => {
                    options.targets = Some(value.split(',').map(str::to_owned).collect());
                }
                "--out" => options.out = env::current_dir().unwrap_or_default().join(value),
                "--programs" => {
                    options.programs = Some(env::current_dir().unwrap_or_default().join(value));
                }
                "--sanitizer" if matches!(value.as_str(), "none" | "address") => {
                    options.sanitizer.clone_from(value);
                }
                _ => return Err(format!("{flag} {value} is not an option\n\n{USAGE}")),
            }
        }
        Ok(options)
    }
}

/// What one run of a target printed.
#[derive(Debug, Default, PartialEq, Eq)]
struct Run {
    executions: u64,
    slowest_s: u64,
    peak_rss_mib: u64,
}

impl Run {
    /// Reads libFuzzer's final statistics.
    fn parse(text: &str) -> Self {
        let value = |name: &str| {
            let line = text.lines().find_map(|l| l.strip_prefix(name));
            line.and_then(|l| l.trim_start_matches(':').trim().parse().ok())
                .unwrap_or(0)
        };
        Self {
            executions: value("stat::number_of_executed_units"),
            slowest_s: value("stat::slowest_unit_time_sec"),
            peak_rss_mib: value("stat::peak_rss_mb"),
        }
    }
}

/// Runs the command with these arguments.
pub fn run(root: &Path, arguments: &[String]) -> Result<(), String> {
    let options = Options::parse(root, arguments)?;
    let mut found = 0;
    if options.seconds > 0 {
        let programs = match &options.programs {
            Some(folder) => folder.clone(),
            None => build(root, &options)?,
        };
        let mut targets = names(root)?;
        if let Some(asked) = &options.targets {
            if let Some(unknown) = asked.iter().find(|t| !targets.contains(t)) {
                return Err(format!("there is no target {unknown}"));
            }
            targets.retain(|t| asked.contains(t));
        }
        for name in &targets {
            found += run_target(root, &programs.join(name), &options, name)?;
        }
    }
    print_table(&options.out)?;
    match found {
        0 => Ok(()),
        n => Err(format!(
            "{n} findings in {}; run `fuzz_target FILE` to see one, mend it, and put the file into fuzz/regressions/TARGET",
            options.out.join("findings").display()
        )),
    }
}

fn build(root: &Path, options: &Options) -> Result<PathBuf, String> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(root);
    command.args([
        "fuzz",
        "build",
        "--fuzz-dir",
        "fuzz",
        "--features",
        "libfuzzer",
        "-s",
    ]);
    command.arg(&options.sanitizer);
    // Coverage and sanitizers are flags that the stable compiler has and does not promise.
    command.env("RUSTC_BOOTSTRAP", "1");
    command.env("RUSTC_WRAPPER", root.join("fuzz/rustc-wrapper"));
    let status = command
        .status()
        .map_err(|e| format!("cannot start cargo: {e}"))?;
    if !status.success() {
        return Err(
            "the targets do not build; if cargo-fuzz is missing, run `cargo install --locked cargo-fuzz`"
                .to_owned(),
        );
    }
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    Ok(target.join(TRIPLE).join("release"))
}

/// The names of all targets, in order.
fn names(root: &Path) -> Result<Vec<String>, String> {
    let folder = root.join("fuzz/fuzz_targets");
    let entries = fs::read_dir(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let stem = |path: PathBuf| path.file_stem().map(|s| s.to_string_lossy().into_owned());
    let mut names: Vec<String> = entries.flatten().filter_map(|e| stem(e.path())).collect();
    names.sort();
    Ok(names)
}

/// Writes the seeds of a target into `folder`. Gives the length of its longest input.
fn prepare(program: &Path, folder: &Path) -> Result<String, String> {
    let mut command = Command::new(program);
    let output = command.env("MULTIRNET_FUZZ_SEEDS", folder).output();
    let output = output.map_err(|e| format!("{}: {e}", program.display()))?;
    let longest = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    match output.status.success() && longest.parse::<usize>().is_ok() {
        true => Ok(longest),
        false => Err(format!("{}: cannot write its seeds", program.display())),
    }
}

/// Runs one target and notes its figures. Gives the number of its new findings.
fn run_target(root: &Path, program: &Path, options: &Options, name: &str) -> Result<usize, String> {
    let failed = |e: std::io::Error| format!("{name}: {e}");
    let (corpus, findings) = (
        options.out.join("corpus").join(name),
        options.out.join("findings"),
    );
    fs::create_dir_all(&corpus).map_err(failed)?;
    fs::create_dir_all(&findings).map_err(failed)?;
    let before = count(&findings, name);
    eprintln!("xtask: fuzzing {name} for {} s", options.seconds);
    let seeds = options.out.join("seeds").join(name);
    let longest = prepare(program, &seeds)?;
    let mut command = Command::new(program);
    command.arg(&corpus).arg(seeds);
    command.arg(format!("-max_total_time={}", options.seconds));
    command.arg(format!("-max_len={longest}"));
    command.arg(format!("-timeout={TIMEOUT_S}"));
    command.arg(format!("-rss_limit_mb={RSS_LIMIT_MIB}"));
    command.arg(format!("-artifact_prefix={}/{name}-", findings.display()));
    command.args(["-print_final_stats=1", "-verbosity=0"]);
    let dictionary = root.join("fuzz/dictionaries").join(format!("{name}.dict"));
    if dictionary.exists() {
        command.arg(format!("-dict={}", dictionary.display()));
    }
    let output = command.stdout(Stdio::null()).output().map_err(failed)?;
    let text = String::from_utf8_lossy(&output.stderr);
    let run = Run::parse(&text);
    let new = count(&findings, name).saturating_sub(before);
    if !output.status.success() || new > 0 {
        let lines: Vec<&str> = text.lines().collect();
        eprintln!("{}", lines[lines.len().saturating_sub(40)..].join("\n"));
    }
    let corpus = fs::read_dir(&corpus).map_err(failed)?.count();
    let path = options.out.join("executions.csv");
    let is_new = !path.exists();
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .map_err(failed)?;
    let row = format!(
        "{}{name},{},{},{},{},{corpus},{new},{}\n",
        if is_new { HEADER } else { "" },
        run.executions,
        options.seconds,
        run.slowest_s,
        run.peak_rss_mib,
        options.sanitizer
    );
    file.write_all(row.as_bytes()).map_err(failed)?;
    Ok(if output.status.success() {
        new
    } else {
        new.max(1)
    })
}

fn count(folder: &Path, name: &str) -> usize {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let kinds = ["crash", "oom", "timeout", "leak"];
    entries
        .filter(|e| {
            let file = e.file_name().to_string_lossy().into_owned();
            kinds
                .iter()
                .any(|kind| file.starts_with(&format!("{name}-{kind}-")))
        })
        .count()
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))
}

/// Figures of all runs of a target.
#[derive(Debug, Default, PartialEq, Eq)]
struct Total {
    executions: u64,
    seconds: u64,
    slowest_s: u64,
    peak_rss_mib: u64,
    findings: u64,
}

fn totals(table: &str) -> BTreeMap<&str, Total> {
    let mut totals: BTreeMap<&str, Total> = BTreeMap::new();
    for line in table.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        let [name, executions, seconds, slowest, rss, _, findings, ..] = cells[..] else {
            continue;
        };
        let number = |cell: &str| cell.parse::<u64>().unwrap_or(0);
        let total = totals.entry(name).or_default();
        total.executions += number(executions);
        total.seconds += number(seconds);
        total.slowest_s = total.slowest_s.max(number(slowest));
        total.peak_rss_mib = total.peak_rss_mib.max(number(rss));
        total.findings += number(findings);
    }
    totals
}

/// Prints the figures of all runs as a table in Markdown.
fn print_table(out: &Path) -> Result<(), String> {
    let table = read(&out.join("executions.csv"))?;
    println!("| target | executions | time, s | slowest input, s | peak memory, MiB | findings |");
    println!("|---|---:|---:|---:|---:|---:|");
    let row = |name: &str, t: &Total| {
        println!(
            "| {name} | {} | {} | {} | {} | {} |",
            t.executions, t.seconds, t.slowest_s, t.peak_rss_mib, t.findings
        );
    };
    let totals = totals(&table);
    let mut all = Total::default();
    for (name, total) in &totals {
        row(name, total);
        all.executions += total.executions;
        all.seconds += total.seconds;
        all.slowest_s = all.slowest_s.max(total.slowest_s);
        all.peak_rss_mib = all.peak_rss_mib.max(total.peak_rss_mib);
        all.findings += total.findings;
    }
    row("all", &all);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn final_statistics_are_read() {
        let text = "Done 7 runs in 1 second(s)\nstat::number_of_executed_units: 1234\n\
                    stat::average_exec_per_sec:     99\nstat::slowest_unit_time_sec:    2\n\
                    stat::peak_rss_mb:              501\n";
        let expected = Run {
            executions: 1234,
            slowest_s: 2,
            peak_rss_mib: 501,
        };
        assert_eq!(Run::parse(text), expected);
        assert_eq!(Run::parse(""), Run::default());
    }

    #[test]
    fn runs_of_a_target_are_added_up() {
        let table = format!(
            "{HEADER}a,10,5,1,100,3,0,none\nb,1,5,0,7,1,1,none\na,20,6,0,200,4,2,address\n"
        );
        let totals = totals(&table);
        let expected = Total {
            executions: 30,
            seconds: 11,
            slowest_s: 1,
            peak_rss_mib: 200,
            findings: 2,
        };
        assert_eq!(totals["a"], expected);
        assert_eq!(totals["b"].findings, 1);
    }
}
