//! The `multirnet` command. It parses arguments, calls the library crates and shows progress.
//!
//! Data goes to standard output and messages to standard error. With `--json` the data is JSON.

mod commands;
mod context;
mod dicom_results;
mod failure;
mod model;
mod output;
mod phantoms;
mod predicting;
mod scan;
mod scan_work;
mod stop;
mod study;
mod toml_file;
mod training_progress;

use clap::{Parser, Subcommand};
use context::Context;
use failure::{EXIT_CODES, Exit, Outcome};
use multirnet_base::text::{one_line, printable};
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: multirnet_kernels::allocator::Allocator = multirnet_kernels::allocator::Allocator;

/// Reads chest CT scans, segments pneumonia lesions, tells COVID-19, community-acquired pneumonia
/// (CAP) and normal lungs apart, shows where a class comes from, and measures how much of each lung
/// is involved.
///
/// For research use only. Not a medical device.
#[derive(Parser)]
#[command(name = "multirnet", version, after_help = EXIT_CODES, propagate_version = true)]
struct Arguments {
    /// Print results as JSON on standard output
    #[arg(long, global = true)]
    json: bool,

    /// Print more on standard error (-v, -vv); the variable RUST_LOG works as well
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,

    /// Print only errors on standard error
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,

    /// Worker threads (default: one per core)
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,

    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Demo(commands::demo::Demo),
    Phantom(commands::phantom::Phantom),
    Inspect(commands::inspect::Inspect),
    Prepare(commands::prepare::Prepare),
    Train(commands::train::Train),
    Package(commands::package::Package),
    Export(commands::export::Export),
    Evaluate(commands::evaluate::Evaluate),
    Compare(commands::compare::Compare),
    Ablate(commands::ablate::Ablate),
    Report(commands::report::Report),
    Predict(commands::predict::Predict),
    Merge(commands::merge::Merge),
    Explain(commands::explain::Explain),
    Dicom(commands::dicom::Dicom),
    Serve(commands::serve::Serve),
    Cohort(commands::cohort::Cohort),
    Listen(commands::pacs::Listen),
    Fetch(commands::pacs::Fetch),
    Send(commands::pacs::Send),
    Echo(commands::pacs::Echo),
    Doctor(commands::pacs::Doctor),
    Info(commands::info::Info),
}

fn run(arguments: Arguments) -> Outcome {
    let context = Context {
        json: arguments.json,
        verbose: arguments.verbose,
    };
    match arguments.command {
        Command::Demo(c) => c.run(context),
        Command::Phantom(c) => c.run(context),
        Command::Inspect(c) => c.run(context),
        Command::Prepare(c) => c.run(context),
        Command::Train(c) => c.run(context),
        Command::Package(c) => c.run(context),
        Command::Export(c) => c.run(context),
        Command::Evaluate(c) => c.run(context),
        Command::Compare(c) => c.run(context),
        Command::Ablate(c) => c.run(context),
        Command::Report(c) => c.run(context),
        Command::Predict(c) => c.run(context),
        Command::Merge(c) => c.run(context),
        Command::Explain(c) => c.run(context),
        Command::Dicom(c) => c.run(context),
        Command::Serve(c) => c.run(context),
        Command::Cohort(c) => c.run(context),
        Command::Listen(c) => c.run(context),
        Command::Fetch(c) => c.run(context),
        Command::Send(c) => c.run(context),
        Command::Echo(c) => c.run(context),
        Command::Doctor(c) => c.run(context),
        Command::Info(c) => c.run(context),
    }
}

fn start_logging(verbose: u8, quiet: bool) {
    let default = match (quiet, verbose) {
        (true, _) => "error",
        (false, 0) => "warn",
        (false, 1) => "info",
        (false, _) => "debug",
    };
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(default));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| output::LogWriter)
        .with_target(false)
        .without_time()
        .init();
}

/// Prints help, or what is wrong with the command line. Names of files may be among its words.
fn wrong_arguments(error: &clap::Error) -> ExitCode {
    let plain = error.render().to_string();
    let mut text = plain.clone();
    for argument in std::env::args_os() {
        let argument = argument.to_string_lossy();
        // An empty argument would match everywhere.
        if argument.is_empty() {
            continue;
        }
        // A line end within a name would begin a line that looks like the program's own.
        text = text.replace(&*argument, &one_line(&argument));
    }
    if printable(&text) == plain {
        error.exit();
    }
    output::complain(text.trim_end());
    ExitCode::from(Exit::Usage as u8)
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return wrong_arguments(&error),
    };
    // Listener and server wait most of the time, and give the memory back meanwhile.
    let waits = matches!(&arguments.command, Command::Listen(_) | Command::Serve(_))
        || matches!(&arguments.command, Command::Demo(demo) if demo.serve);
    if !waits {
        multirnet_kernels::allocator::keep_freed_pages();
    }
    if arguments.quiet {
        output::be_quiet();
    }
    start_logging(arguments.verbose, arguments.quiet);
    if let Err(error) = multirnet_kernels::check_isa() {
        output::complain(&format!("multirnet: {error}"));
        return ExitCode::from(Exit::Usage as u8);
    }
    if let Some(threads) = arguments.threads {
        // This fails only if a pool exists already. Nothing before this line makes one.
        let _ = rayon::ThreadPoolBuilder::new()
            .num_threads(threads.into())
            .build_global();
    }
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output::complain(&format!("multirnet: {failure}"));
            if failure.exit == Exit::Internal {
                output::complain(
                    "multirnet: this is a fault of the program; please report it with the line above",
                );
            }
            ExitCode::from(failure.exit as u8)
        }
    }
}
