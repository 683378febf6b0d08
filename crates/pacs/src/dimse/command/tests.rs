//! Every command survives its encoding, and damaged ones are errors.

use super::*;
use proptest::prelude::*;

fn uid() -> impl Strategy<Value = String> {
    "[1-9](\\.[0-9]{1,8}){1,6}"
}

fn commands() -> impl Strategy<Value = Command> {
    let id = any::<u16>;
    prop_oneof![
        id().prop_map(|message_id| Command::EchoRequest { message_id }),
        (id(), id()).prop_map(|(message_id, status)| Command::EchoResponse { message_id, status }),
        (id(), uid(), uid()).prop_map(|(message_id, sop_class, sop_instance)| {
            Command::StoreRequest {
                message_id,
                sop_class,
                sop_instance,
            }
        }),
        (id(), uid(), uid(), id(), "[a-z]{0,64}").prop_map(
            |(message_id, sop_class, sop_instance, status, comment)| Command::StoreResponse {
                message_id,
                sop_class,
                sop_instance,
                status,
                comment
            }
        ),
        (id(), uid()).prop_map(|(message_id, model)| Command::FindRequest { message_id, model }),
        (id(), id(), "[a-z]{0,64}", any::<bool>()).prop_map(
            |(message_id, status, comment, has_data_set)| Command::FindResponse {
                message_id,
                status,
                comment,
                has_data_set
            }
        ),
        (id(), uid(), "[A-Z]{1,16}").prop_map(|(message_id, model, destination)| {
            Command::MoveRequest {
                message_id,
                model,
                destination,
            }
        }),
        (id(), id(), any::<[u16; 4]>(), any::<bool>()).prop_map(
            |(message_id, status, [remaining, completed, failed, warning], has_data_set)| {
                Command::MoveResponse {
                    message_id,
                    status,
                    comment: String::new(),
                    counts: SubOperations {
                        remaining,
                        completed,
                        failed,
                        warning,
                    },
                    has_data_set,
                }
            }
        ),
        id().prop_map(|message_id| Command::CancelRequest { message_id }),
        (id(), any::<bool>()).prop_map(|(message_id, has_data_set)| Command::UnknownRequest {
            field: 0x0100,
            message_id,
            has_data_set
        }),
        (id(), id()).prop_map(|(message_id, status)| Command::UnknownResponse {
            field: 0x0100,
            message_id,
            status
        }),
    ]
}

proptest! {
    #[test]
    fn a_command_survives_its_encoding(command in commands()) {
        let bytes = command.encode().unwrap();
        prop_assert_eq!(Command::decode(&bytes).unwrap(), command);
    }

    #[test]
    fn damaged_command_sets_never_panic(
        command in commands(),
        at in any::<prop::sample::Index>(),
        value in any::<u8>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = command.encode().unwrap();
        let place = at.index(bytes.len());
        bytes[place] = value;
        let _ = Command::decode(&bytes);
        let _ = Command::decode(&bytes[..cut.index(bytes.len())]);
    }

    #[test]
    fn any_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Command::decode(&bytes);
    }
}

#[test]
fn faults_are_named() {
    let good = Command::EchoRequest { message_id: 1 }.encode().unwrap();
    let told = |bytes: &[u8]| Command::decode(bytes).unwrap_err().to_string();
    assert!(told(&[]).contains("ends inside"));
    assert!(told(&good[..good.len() - 1]).contains("longer than"));
    assert!(told(&[&good[..], &good[..]].concat()).contains("not in order"));
    let huge = [0, 0, 0, 1, 0xFF, 0xFF, 0xFF, 0xFF];
    assert!(told(&huge).contains("longer than"));
    assert!(told(&[8, 0, 0, 0, 0, 0, 0, 0]).contains("outside group"));
    // A number of four bytes that has six: the general parser would lose its place.
    let odd = [0, 0, 0, 0, 6, 0, 0, 0, 1, 2, 3, 4, 5, 6];
    assert!(told(&odd).contains("numbers have 4 bytes each"));
}
