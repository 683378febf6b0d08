//! Status codes of responses (PS3.4 B.2.3, C.4; PS3.7 C).

/// Success.
pub const SUCCESS: u16 = 0x0000;
/// The SOP class is not supported.
pub const CLASS_NOT_SUPPORTED: u16 = 0x0122;
/// The object is there already: an earlier attempt arrived, and its answer was lost.
pub const DUPLICATE: u16 = 0x0111;
/// The operation is not one of this node's.
pub const UNRECOGNIZED_OPERATION: u16 = 0x0211;
/// Storage: out of resources.
pub const OUT_OF_RESOURCES: u16 = 0xA700;
/// Storage: the data set does not match the SOP class or instance.
pub const DATA_SET_MISMATCH: u16 = 0xA900;
/// Storage: the data set cannot be understood.
pub const CANNOT_UNDERSTAND: u16 = 0xC000;

/// Whether a query or retrieval goes on.
pub fn is_pending(status: u16) -> bool {
    matches!(status, 0xFF00 | 0xFF01)
}

/// Whether the object was taken: success, or a warning such as a coerced element.
pub fn is_stored(status: u16) -> bool {
    status == SUCCESS || is_warning(status)
}

/// Whether the status is a warning.
pub fn is_warning(status: u16) -> bool {
    matches!(status, 0x0001 | 0x0107 | 0x0116 | 0xB000..=0xBFFF)
}

/// Whether a failure lies in the peer's present state, so that a later attempt may succeed.
pub fn is_transient(status: u16) -> bool {
    matches!(status, 0xA700..=0xA7FF | 0x0110 | 0x0213)
}

/// The status in words.
pub fn describe(status: u16) -> String {
    let words = match status {
        SUCCESS => "success",
        0xB000 => "stored, with coerced elements",
        0xB006 => "stored, with discarded elements",
        0xB007 => "stored, but the data set does not match its class",
        _ if is_warning(status) => "warning",
        0xA700..=0xA7FF => "out of resources",
        0xA801 => "the move destination is unknown",
        0xA900..=0xA9FF => "the data set does not match its class",
        0xC000..=0xCFFF => "the peer cannot understand or process the data set",
        0xFE00 => "cancelled",
        0xFF00 | 0xFF01 => "pending",
        0x0110 => "processing failure",
        DUPLICATE => "the object is there already",
        0x0112 => "no such object",
        0x0117 => "invalid object",
        CLASS_NOT_SUPPORTED => "the class is not supported",
        0x0124 => "not authorized",
        UNRECOGNIZED_OPERATION => "the operation is not supported",
        0x0213 => "resource limitation",
        _ => "failure",
    };
    format!("{words} (status {status:04X})")
}
