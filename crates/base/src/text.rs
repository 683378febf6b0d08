//! Text of strangers, shown to people: names of files and patients, fields of manifests and model cards.
//!
//! Such text may hold what a terminal obeys (ESC), what forges a line of a log (a newline), what turns the
//! direction of writing around, or what XML does not allow. These functions make it visible. Nothing else
//! is changed, so names in any script stay readable.

use std::borrow::Cow;

/// Whether a character acts on the text around it, or on the terminal, in place of being shown.
pub fn is_active(c: char) -> bool {
    c.is_control()
        || matches!(c,
            // Marks, embeddings, overrides and isolates of writing from right to left.
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
            // Line and paragraph separators, deprecated format characters, the byte order mark.
            | '\u{2028}' | '\u{2029}' | '\u{206a}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            // Characters that are invisible and may carry hidden text.
            | '\u{e0000}'..='\u{e007f}')
}

/// Whether Unicode never assigns the character. XML forbids the first two.
fn is_noncharacter(c: char) -> bool {
    matches!(c, '\u{fdd0}'..='\u{fdef}') || (c as u32) & 0xFFFE == 0xFFFE
}

fn escaped(text: &str, is_kept: impl Fn(char) -> bool) -> Cow<'_, str> {
    let is_bad = |c: char| (is_active(c) || is_noncharacter(c)) && !is_kept(c);
    if !text.contains(is_bad) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_bad(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                out += &format!("\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// Text of several lines for a terminal: active characters but newlines and tabs become escapes such as
/// `\u001b`. These are the escapes of JSON, so JSON stays the same value.
///
/// ```
/// use multirnet_base::text::printable;
/// assert_eq!(printable("scan\u{1b}[2J\n"), "scan\\u001b[2J\n");
/// assert_eq!(printable("Пациент 肺"), "Пациент 肺");
/// ```
pub fn printable(text: &str) -> Cow<'_, str> {
    escaped(text, |c| matches!(c, '\n' | '\t'))
}

/// As [`printable`], for a text that is one line or one field: newlines and tabs become escapes too.
///
/// ```
/// use multirnet_base::text::one_line;
/// assert_eq!(one_line("a\nmultirnet: done"), "a\\u000amultirnet: done");
/// ```
pub fn one_line(text: &str) -> Cow<'_, str> {
    escaped(text, |_| false)
}

/// Text for HTML, SVG and XML: active characters but newlines and tabs become U+FFFD. Whoever writes the
/// markup still escapes `<`, `&` and quotes.
///
/// ```
/// use multirnet_base::text::for_markup;
/// assert_eq!(for_markup("a\u{0}b\u{202e}c"), "a\u{fffd}b\u{fffd}c");
/// ```
pub fn for_markup(text: &str) -> Cow<'_, str> {
    let is_bad = |c: char| (is_active(c) || is_noncharacter(c)) && !matches!(c, '\n' | '\t');
    if !text.contains(is_bad) {
        return Cow::Borrowed(text);
    }
    let replaced = |c| {
        if is_bad(c) {
            char::REPLACEMENT_CHARACTER
        } else {
            c
        }
    };
    Cow::Owned(text.chars().map(replaced).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_active_character_is_left_and_all_others_are() {
        for c in (0..=0x11_0000).filter_map(char::from_u32) {
            let text = format!("a{c}b");
            let (line, lines, markup) = (one_line(&text), printable(&text), for_markup(&text));
            let is_bad = is_active(c) || is_noncharacter(c);
            assert_eq!(line == text, !is_bad, "{:x}", c as u32);
            assert_eq!(lines == text, !is_bad || c == '\n' || c == '\t');
            assert_eq!(markup == text, lines == text);
            assert!(!line.contains(|c: char| c.is_control()));
        }
        assert_eq!(one_line("\u{e0041}"), "\\udb40\\udc41");
        assert_eq!(one_line("\u{9b}31m\u{7f}"), "\\u009b31m\\u007f");
    }
}
