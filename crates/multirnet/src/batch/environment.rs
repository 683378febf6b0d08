//! The part of a list that a cluster's scheduler gives to a process.

use super::Shard;
use crate::{Error, ErrorKind, Result};

const SLURM_ID: &str = "SLURM_ARRAY_TASK_ID";
const SLURM_COUNT: &str = "SLURM_ARRAY_TASK_COUNT";
const SLURM_MIN: &str = "SLURM_ARRAY_TASK_MIN";
const SLURM_STEP: &str = "SLURM_ARRAY_TASK_STEP";
const JOB_INDEX: &str = "JOB_COMPLETION_INDEX";
const JOB_COUNT: &str = "JOB_COMPLETIONS";

impl Shard {
    /// The part that the environment gives, or `None` if it gives none. `get` returns a variable.
    ///
    /// A task of a Slurm array has `SLURM_ARRAY_TASK_ID`. The tasks of the array, from
    /// `SLURM_ARRAY_TASK_MIN` in steps of `SLURM_ARRAY_TASK_STEP` (both 1 if absent), share the list, and
    /// `SLURM_ARRAY_TASK_COUNT` is their number. With `count`, the task's number itself is the part, from
    /// 1, so an array may hold any of the parts.
    ///
    /// A pod of a Kubernetes Indexed Job has `JOB_COMPLETION_INDEX`, from 0. Kubernetes does not say how
    /// many there are; that is `count`, or `JOB_COMPLETIONS` where the manifest of the job sets it.
    ///
    /// # Errors
    /// `Options` if a variable is missing or is not a number, if the part is beyond the count, if `count`
    /// is given without a number of the part, or if both schedulers' variables are set.
    pub fn from_environment(
        count: Option<usize>,
        get: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>> {
        let number = |name: &str| match get(name) {
            None => Ok(None),
            Some(text) => match text.trim().parse::<usize>() {
                Ok(number) => Ok(Some(number)),
                Err(_) => Err(refusal(
                    format!("{name} is {text:?}, which is not a whole number"),
                    "give the part itself, or unset the variable",
                )),
            },
        };
        match (number(SLURM_ID)?, number(JOB_INDEX)?) {
            (Some(_), Some(_)) => Err(refusal(
                format!("both {SLURM_ID} and {JOB_INDEX} are set"),
                "unset the one of them that does not apply",
            )),
            (Some(id), None) => slurm(id, count, number).map(Some),
            (None, Some(index)) => kubernetes(index, count.or(number(JOB_COUNT)?)).map(Some),
            (None, None) => match (count, number(SLURM_COUNT)?, number(JOB_COUNT)?) {
                (None, None, None) => Ok(None),
                (_, Some(_), _) => Err(refusal(
                    format!("{SLURM_COUNT} is set, but {SLURM_ID} is not"),
                    "start this as a task of an array, or unset the variable",
                )),
                (_, _, Some(_)) => Err(refusal(
                    format!("{JOB_COUNT} is set, but {JOB_INDEX} is not"),
                    "set `completionMode: Indexed` in the job, or unset the variable",
                )),
                (Some(count), None, None) => Err(refusal(
                    format!("it is not known which of {count} parts this is"),
                    format!("set {SLURM_ID} or {JOB_INDEX}, or give the part itself"),
                )),
            },
        }
    }
}

fn slurm(
    id: usize,
    count: Option<usize>,
    number: impl Fn(&str) -> Result<Option<usize>>,
) -> Result<Shard> {
    if let Some(count) = count {
        return Shard::new(id, count).map_err(|error| {
            let part = format!("{SLURM_ID} is {id}");
            error
                .within(&part)
                .hint(format!("start the array as --array=1-{count}"))
        });
    }
    let Some(count) = number(SLURM_COUNT)? else {
        return Err(refusal(
            format!("{SLURM_ID} is set, but {SLURM_COUNT} is not"),
            "give the number of parts, or start this as a task of an array",
        ));
    };
    let (first, step) = (number(SLURM_MIN)?.unwrap_or(1), number(SLURM_STEP)?);
    let step = step.filter(|s| *s > 0).unwrap_or(1);
    let place = id.checked_sub(first).filter(|n| n % step == 0);
    let shard = place.and_then(|n| Shard::new(n / step + 1, count).ok());
    shard.ok_or_else(|| {
        refusal(
            format!(
                "{SLURM_ID} is {id}, but {SLURM_COUNT} = {count} tasks from {SLURM_MIN} = {first} \
                 do not reach it"
            ),
            "give the number of parts: the task's number is then the part, and an array may have gaps",
        )
    })
}

fn kubernetes(index: usize, count: Option<usize>) -> Result<Shard> {
    let Some(count) = count else {
        return Err(refusal(
            format!("{JOB_INDEX} is set, but the number of parts is not known"),
            format!("give it, or set {JOB_COUNT} to the job's `completions`"),
        ));
    };
    Shard::new(index.saturating_add(1), count).map_err(|error| {
        error
            .within(&format!("{JOB_INDEX} is {index}"))
            .hint(format!(
                "{JOB_INDEX} counts from 0 to the job's `completions` - 1"
            ))
    })
}

fn refusal(reason: String, hint: impl Into<String>) -> Error {
    Error::new(ErrorKind::Options, reason).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The part that `variables` and `count` give.
    fn shard(variables: &str, count: Option<usize>) -> Result<Option<Shard>> {
        Shard::from_environment(count, |name| {
            let pairs = variables.split_whitespace().map(|v| v.split_once('='));
            let mut found = pairs.flatten().filter(|(key, _)| *key == name);
            found.next().map(|(_, value)| value.to_owned())
        })
    }

    #[test]
    fn schedulers_give_the_part() {
        let slurm = |id: usize, more: &str| format!("{SLURM_ID}={id} {more}");
        for (variables, count, expected) in [
            (String::new(), None, None),
            (
                slurm(3, "SLURM_ARRAY_TASK_COUNT=64 SLURM_ARRAY_TASK_MIN=1"),
                None,
                Some((3, 64)),
            ),
            (slurm(3, "SLURM_ARRAY_TASK_COUNT=64"), None, Some((3, 64))),
            (
                slurm(0, "SLURM_ARRAY_TASK_COUNT=64 SLURM_ARRAY_TASK_MIN=0"),
                None,
                Some((1, 64)),
            ),
            (
                slurm(
                    9,
                    "SLURM_ARRAY_TASK_COUNT=4 SLURM_ARRAY_TASK_MIN=3 SLURM_ARRAY_TASK_STEP=2",
                ),
                None,
                Some((4, 4)),
            ),
            // With the count, an array such as 3,7 has these two parts of 64.
            (
                slurm(7, "SLURM_ARRAY_TASK_COUNT=2 SLURM_ARRAY_TASK_MIN=3"),
                Some(64),
                Some((7, 64)),
            ),
            (format!("{JOB_INDEX}=0"), Some(64), Some((1, 64))),
            (
                format!("{JOB_INDEX}=63 {JOB_COUNT}=64"),
                None,
                Some((64, 64)),
            ),
        ] {
            let expected = expected.map(|(i, n)| Shard::new(i, n).unwrap());
            assert_eq!(shard(&variables, count).unwrap(), expected, "{variables}");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        for (variables, count, said) in [
            (
                "SLURM_ARRAY_TASK_ID=3",
                None,
                "SLURM_ARRAY_TASK_COUNT is not",
            ),
            (
                "SLURM_ARRAY_TASK_COUNT=3",
                None,
                "SLURM_ARRAY_TASK_ID is not",
            ),
            (
                "JOB_COMPLETION_INDEX=3",
                None,
                "number of parts is not known",
            ),
            ("JOB_COMPLETIONS=3", None, "JOB_COMPLETION_INDEX is not"),
            ("", Some(3), "which of 3 parts"),
            (
                "SLURM_ARRAY_TASK_ID=a",
                Some(3),
                "\"a\", which is not a whole number",
            ),
            (
                "JOB_COMPLETION_INDEX=-1",
                Some(3),
                "\"-1\", which is not a whole number",
            ),
            ("JOB_COMPLETION_INDEX=3", Some(3), "no part 4 of 3"),
            ("SLURM_ARRAY_TASK_ID=0", Some(3), "no part 0 of 3"),
            (
                "SLURM_ARRAY_TASK_ID=1 JOB_COMPLETION_INDEX=1",
                Some(3),
                "both",
            ),
            (
                "SLURM_ARRAY_TASK_ID=7 SLURM_ARRAY_TASK_COUNT=2 SLURM_ARRAY_TASK_MIN=3",
                None,
                "do not reach it",
            ),
        ] {
            let error = shard(variables, count).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Options);
            assert!(error.to_string().contains(said), "{variables}: {error}");
            assert!(error.advice().is_some(), "{variables}");
        }
    }
}
