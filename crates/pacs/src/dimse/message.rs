//! Messages from PDVs: a command set, then the pieces of its data set (PS3.8, Annex E).

use crate::dimse::Command;
use crate::{Error, ErrorKind, Result};
use dicom_ul::pdu::{PDataValue, PDataValueType};

/// Longest command set. Real ones have a few hundred bytes.
pub const MAX_COMMAND_BYTES: usize = 16_384;

/// Most PDVs without bytes in a message. They bring it no nearer to its end.
const MAX_EMPTY: usize = 1000;

/// A part of a message.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    /// A whole command.
    Command {
        /// The presentation context.
        context: u8,
        /// The command.
        command: Command,
    },
    /// Bytes of the data set that belongs to the last command.
    Data {
        /// The bytes.
        bytes: Vec<u8>,
        /// Whether the data set ends here.
        is_last: bool,
    },
}

/// Puts the PDVs of one association together. Data sets pass through piece by piece, so memory does
/// not grow with their size.
#[derive(Debug, Default)]
pub struct Assembler {
    /// The context of the command set that is coming in.
    command: Option<(u8, Vec<u8>)>,
    /// The context of the data set that must follow.
    expected: Option<u8>,
    /// Number of PDVs without bytes that the message has had.
    empty: usize,
}

impl Assembler {
    /// Takes a PDV, and gives what it completes.
    ///
    /// # Errors
    /// `Protocol` for a command set that is too long, malformed or interrupted, and for data that no
    /// command announced. The association cannot go on then.
    pub fn push(&mut self, value: PDataValue) -> Result<Option<Piece>> {
        let context = value.presentation_context_id;
        if value.data.is_empty() && !value.is_last {
            self.empty += 1;
            if self.empty > MAX_EMPTY {
                return Err(protocol("a message has too many parts without bytes"));
            }
        }
        match value.value_type {
            PDataValueType::Command => self.push_command(context, value),
            PDataValueType::Data => match (self.expected, &self.command) {
                (Some(expected), None) if expected == context => {
                    if value.is_last {
                        self.expected = None;
                        self.empty = 0;
                    }
                    Ok(Some(Piece::Data {
                        bytes: value.data,
                        is_last: value.is_last,
                    }))
                }
                _ => Err(protocol("data came that no command announced")),
            },
        }
    }

    fn push_command(&mut self, context: u8, value: PDataValue) -> Result<Option<Piece>> {
        if self.expected.is_some() {
            return Err(protocol("a command came before the end of a data set"));
        }
        let (own, bytes) = self.command.get_or_insert((context, Vec::new()));
        if *own != context {
            return Err(protocol("a command came before the end of another"));
        }
        if bytes.len() + value.data.len() > MAX_COMMAND_BYTES {
            return Err(protocol("a command set is too long"));
        }
        bytes.extend(value.data);
        if !value.is_last {
            return Ok(None);
        }
        let command = Command::decode(bytes)?;
        self.command = None;
        self.expected = command.has_data_set().then_some(context);
        if self.expected.is_none() {
            self.empty = 0;
        }
        Ok(Some(Piece::Command { context, command }))
    }

    /// Whether a message has begun and not ended.
    pub fn is_inside(&self) -> bool {
        self.command.is_some() || self.expected.is_some()
    }
}

fn protocol(reason: &str) -> Error {
    Error::new(ErrorKind::Protocol, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pdv(context: u8, kind: PDataValueType, data: &[u8], is_last: bool) -> PDataValue {
        PDataValue {
            presentation_context_id: context,
            value_type: kind,
            is_last,
            data: data.to_vec(),
        }
    }

    fn store() -> Command {
        Command::StoreRequest {
            message_id: 7,
            sop_class: "1.2".into(),
            sop_instance: "1.3".into(),
        }
    }

    #[test]
    fn a_message_in_any_pieces_is_the_same() {
        let bytes = store().encode().unwrap();
        for cut in 0..=bytes.len() {
            let mut assembler = Assembler::default();
            let first = pdv(1, PDataValueType::Command, &bytes[..cut], false);
            assert_eq!(assembler.push(first).unwrap(), None);
            let second = pdv(1, PDataValueType::Command, &bytes[cut..], true);
            let Some(Piece::Command {
                context: 1,
                command,
            }) = assembler.push(second).unwrap()
            else {
                panic!("no command");
            };
            assert_eq!(command, store());
            for is_last in [false, true] {
                let data = assembler
                    .push(pdv(1, PDataValueType::Data, b"ab", is_last))
                    .unwrap();
                assert_eq!(
                    data,
                    Some(Piece::Data {
                        bytes: b"ab".into(),
                        is_last
                    })
                );
            }
            assert!(!assembler.is_inside());
        }
    }

    #[test]
    fn messages_out_of_order_are_refused() {
        use PDataValueType::{Command as C, Data as D};
        let bytes = store().encode().unwrap();
        let cases: [(&[PDataValue], &str); 5] = [
            (&[pdv(1, D, b"x", true)], "no command announced"),
            (
                &[pdv(1, C, &bytes, true), pdv(3, D, b"x", true)],
                "no command announced",
            ),
            (
                &[pdv(1, C, &bytes, true), pdv(1, C, &bytes, true)],
                "end of a data set",
            ),
            (
                &[pdv(1, C, &bytes[..9], false), pdv(3, C, &bytes[9..], true)],
                "end of another",
            ),
            (&[pdv(1, C, &[0; MAX_COMMAND_BYTES + 1], false)], "too long"),
        ];
        for (values, told) in cases {
            let mut assembler = Assembler::default();
            let results: Vec<_> = values.iter().map(|v| assembler.push(v.clone())).collect();
            let error = results.into_iter().last().unwrap().unwrap_err();
            assert!(error.to_string().contains(told), "{told}: {error}");
        }
    }
}
