//! Scripts that replace the programs that the documents call.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Calls the program with small numbers in place of large ones. Adds options that make the work small
/// if the document gives none.
const MULTIRNET: &str = r#"#!/bin/sh
given=" $* "
last=
n=$#
while [ "$n" -gt 0 ]; do
  word=$1
  shift
  case $last in
    --per-class) set -- "$@" 2 ;;
    --variants | --phantoms) set -- "$@" 1 ;;
    *) set -- "$@" "$word" ;;
  esac
  last=$word
  n=$((n - 1))
done
# Adds an option with its value, unless it is given.
add() {
  case $given in
    *" $1 "*) ;;
    *) more="$more $1 $2" ;;
  esac
}
more=
case "$1" in
  # These need other nodes, so their arguments and their configuration are looked at.
  listen | fetch | send | echo | doctor)
    [ -f "$2" ] || exit 3
    exec "$PROGRAM" "$@" --help
    ;;
esac
case "$1 $2" in
  "demo "*) add --matrix 128 ;;
  "phantom cohort" | "phantom one") add --matrix 96 ;;
  "phantom implant")
    add --variants 1
    add --config "$SMALL/implant.toml"
    ;;
  "prepare "*)
    case $given in
      *" --cache "*) add --config "$SMALL/train.toml" ;;
    esac
    ;;
  "train "*)
    case $given in
      *" --resume "*) ;;
      *) add --config "$SMALL/train.toml" ;;
    esac
    ;;
  "evaluate "*)
    case $given in
      *" --phantoms "*) add --matrix 96 ;;
    esac
    ;;
esac
exec "$PROGRAM" "$@" $more
"#;

/// Runs the program for `cargo run --release -- ARGUMENTS`. The test checks all other commands of
/// cargo without running them.
const CARGO: &str = r#"#!/bin/sh
if [ "$1 $2 $3" != "run --release --" ]; then
  echo "cargo $*: only cargo run --release -- ARGUMENTS is run" >&2
  exit 1
fi
shift 3
exec multirnet "$@"
"#;

/// Writes `multirnet` and `cargo` into the folder `bin`.
pub fn write(bin: &Path) {
    fs::create_dir_all(bin).unwrap();
    for (name, text) in [("multirnet", MULTIRNET), ("cargo", CARGO)] {
        let path = bin.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
}
