//! Errors that end the program: a message for the user and an exit code for scripts.

use multirnet_base::text::one_line;
use std::fmt;

/// The program's exit code, by the reason of its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The program has a fault.
    Internal = 1,
    /// The command line is wrong (clap's own code).
    Usage = 2,
    /// An input (scan, mask, manifest, model, configuration, checkpoint) cannot be used.
    Input = 3,
    /// Some of several scans failed; the others have their results.
    Partial = 4,
    /// A result could not be written.
    Output = 5,
    /// The loss of a training is not finite.
    Diverged = 6,
    /// A DICOM node cannot be reached, or refuses.
    Node = 7,
    /// Ctrl-C or a termination signal has stopped the program after it saved its work.
    Stopped = 130,
}

/// Text for `--help` that explains the codes.
pub const EXIT_CODES: &str = "\
Exit codes: 0 done; 1 internal error; 2 wrong command line; 3 unusable input (scan, mask, manifest, \
model, configuration, checkpoint); 4 some of several scans failed; 5 a result could not be written; \
6 the loss of a training is not finite; 7 a DICOM node cannot be reached, or refuses; 130 stopped by Ctrl-C after saving.";

/// A message for the user with an exit code.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    message: String,
}

/// Result of a command.
pub type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    /// A failure with its exit code. Names of library options in `message` become flags.
    pub fn new(exit: Exit, message: impl fmt::Display) -> Self {
        Self {
            exit,
            message: with_flags(one_line(&message.to_string()).into_owned()),
        }
    }

    /// The failure of an unusable input.
    pub fn input(message: impl fmt::Display) -> Self {
        Self::new(Exit::Input, message)
    }

    /// The failure for an error of a training.
    pub fn training(error: multirnet_train::Error) -> Self {
        use multirnet_train::ErrorKind;
        let exit = match error.kind() {
            ErrorKind::Write => Exit::Output,
            ErrorKind::Diverged => Exit::Diverged,
            ErrorKind::Interrupted => Exit::Stopped,
            _ => Exit::Input,
        };
        Self::new(exit, error)
    }

    /// The failure after Ctrl-C, with nothing half written.
    pub fn stopped() -> Self {
        Self::new(Exit::Stopped, "stopped; nothing half written is left")
    }

    /// The failure of a result that could not be written.
    pub fn output(message: impl fmt::Display) -> Self {
        Self::new(Exit::Output, message)
    }
}

/// Replaces the names of library options in a message by flags of the command line.
fn with_flags(message: String) -> String {
    const FLAGS: [(&str, &str); 3] = [
        ("`allow_irregular`", "--allow-irregular"),
        ("`series`", "--series"),
        ("use the device cpu", "leave out `--device gpu`"),
    ];
    FLAGS
        .iter()
        .fold(message, |text, (option, flag)| text.replace(option, flag))
}

impl From<multirnet::Error> for Failure {
    fn from(error: multirnet::Error) -> Self {
        use multirnet::ErrorKind;
        match error.kind() {
            ErrorKind::Write => Self::output(error),
            ErrorKind::Interrupted => Self::stopped(),
            ErrorKind::Draw => Self::new(Exit::Internal, error),
            _ => Self::input(error),
        }
    }
}

impl From<multirnet_pacs::Error> for Failure {
    fn from(error: multirnet_pacs::Error) -> Self {
        use multirnet_pacs::ErrorKind;
        match error.kind() {
            ErrorKind::Write => Self::output(error),
            ErrorKind::Network | ErrorKind::Refused => Self::new(Exit::Node, error),
            ErrorKind::Stopped => Self::new(Exit::Stopped, "stopped; what was done is kept"),
            _ => Self::input(error),
        }
    }
}

impl From<multirnet_server::Error> for Failure {
    fn from(error: multirnet_server::Error) -> Self {
        use multirnet_server::ErrorKind;
        match error.kind() {
            ErrorKind::Write | ErrorKind::Database | ErrorKind::Full => Self::output(error),
            ErrorKind::Network => Self::new(Exit::Node, error),
            ErrorKind::Stopped => Self::new(Exit::Stopped, "stopped; what was done is kept"),
            ErrorKind::Config => Self::new(Exit::Usage, error),
            _ => Self::input(error),
        }
    }
}

impl From<multirnet_cohort::Error> for Failure {
    fn from(error: multirnet_cohort::Error) -> Self {
        match error.kind() {
            // The error's own message says how many scans are kept.
            multirnet_cohort::ErrorKind::Interrupted => Self::new(Exit::Stopped, error),
            _ => multirnet::Error::from(error).into(),
        }
    }
}

impl From<multirnet_base::Error> for Failure {
    fn from(error: multirnet_base::Error) -> Self {
        match error.kind() {
            multirnet_base::ErrorKind::Write => Self::output(error),
            _ => Self::input(error),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// The failure for an error of a study.
pub fn study_failure(error: multirnet_study::Error) -> Failure {
    use multirnet_study::ErrorKind;
    let exit = match error.kind() {
        ErrorKind::Interrupted => Exit::Stopped,
        ErrorKind::Figure => Exit::Internal,
        ErrorKind::Write => Exit::Output,
        ErrorKind::Diverged => Exit::Diverged,
        _ => Exit::Input,
    };
    Failure::new(exit, error)
}
