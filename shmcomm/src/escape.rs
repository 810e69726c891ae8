//! Text from outside, for logs and errors: no character of it ends a line or controls a terminal.
//!
//! Owns which characters are escaped. Calls nothing.
//!
//! Names of processes and files, keys and names in messages, and the environment come from other programs, and
//! can hold anything. A line feed in a log is a forged record, an escape sequence controls the terminal of the
//! reader, and a direction mark changes the order in which characters are shown.

use core::fmt;
use std::borrow::Cow;
use std::path::Path;

/// Shows a text with the characters escaped that do more than show themselves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Escaped<'t>(pub(crate) &'t str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        while let Some(at) = rest.find(is_unsafe) {
            let (plain, odd) = rest.split_at(at);
            f.write_str(plain)?;
            let mut odd = odd.chars();
            if let Some(c) = odd.next() {
                write!(f, "{}", c.escape_default())?;
            }
            rest = odd.as_str();
        }
        f.write_str(rest)
    }
}

/// Returns the text with these characters escaped, such as `\n` and `\u{1b}`.
pub(crate) fn escape<'t>(text: impl Into<Cow<'t, str>>) -> String {
    let text = text.into();
    if is_plain(&text) { text.into_owned() } else { Escaped(&text).to_string() }
}

/// Returns `true` if no character of the text is escaped.
pub(crate) fn is_plain(text: &str) -> bool {
    !text.contains(is_unsafe)
}

/// Returns `true` for controls (C0, C1), separators of lines and paragraphs, marks that change the direction of
/// text, and characters that are not shown.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Paths in logs and errors.
pub(crate) trait Shown {
    /// Returns the path as text, with what is no text replaced and these characters escaped.
    fn shown(&self) -> String;
}

impl Shown for Path {
    fn shown(&self) -> String {
        escape(self.to_string_lossy())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_end_a_line_or_control_a_terminal() {
        let odd = "a\nb\r\t\u{1b}[31m\u{7f}\u{85}\u{9b}2J\u{2028}\u{202e}\u{200b}\u{feff}\0";
        let escaped = escape(odd);
        assert_eq!(escaped, r"a\nb\r\t\u{1b}[31m\u{7f}\u{85}\u{9b}2J\u{2028}\u{202e}\u{200b}\u{feff}\u{0}");
        assert!(is_plain(&escaped) && !is_plain(odd));
        assert_eq!(Escaped(odd).to_string(), escaped);
    }

    #[test]
    fn other_text_stays_as_it_is() {
        for text in ["", "größe 機 👍🏽 \\n `x` \"y\"", "/dev/shm/shmcomm2_a%2Fb", "e\u{301}"] {
            assert_eq!(escape(text), text);
        }
        assert_eq!(Path::new("/a\nb").shown(), r"/a\nb");
    }
}
