//! The name of this machine, which tells the writers of a shared file system apart.

use crate::digest::sha256;
use std::sync::OnceLock;

/// The machine's name, read once; `unknown` where the system does not say it.
pub fn name() -> &'static str {
    static NAME: OnceLock<String> = OnceLock::new();
    NAME.get_or_init(|| {
        let file = || std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
        let variable = |name| std::env::var(name).ok();
        let found = file()
            .or_else(|| variable("COMPUTERNAME"))
            .or_else(|| variable("HOSTNAME"));
        let name = found.unwrap_or_default().trim().to_owned();
        if name.is_empty() {
            "unknown".to_owned()
        } else {
            name
        }
    })
}

/// Eight hexadecimal digits that stand for the machine in names of files.
pub(crate) fn tag() -> &'static str {
    static TAG: OnceLock<String> = OnceLock::new();
    TAG.get_or_init(|| sha256(name().as_bytes())[..8].to_owned())
}
