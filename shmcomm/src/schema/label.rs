//! The short name of the messages of a segment: `Imu`, `FrameHeader+[u8]`, `Trip -> Way`.
//!
//! Owns [`SegmentInfo::message_name`]. Calls [`Layout::parse`], which bounds the text. Never trusts a text: every
//! process of the user can write a schema.

use super::{Layout, SchemaErrorKind};
use crate::layout::Format;
use crate::segment::SegmentInfo;

/// Largest number of characters of a name.
const LONGEST: usize = 60;

impl SegmentInfo {
    /// Returns the name of the messages as tables show it, with at most 60 characters: the name of the type, that of
    /// the codec, or `(python)` for version 1. Returns an empty text for a file with a problem.
    pub fn message_name(&self) -> String {
        if self.problem.is_some() {
            return String::new();
        }
        if self.version == 1 {
            return "(python)".to_owned();
        }
        let tail = self.codec == Format::Tail.name();
        let name = match Layout::parse(&self.schema).as_deref() {
            Ok([header, item]) if tail => format!("{header}+[{item}]"),
            Ok([request, reply]) => format!("{request} -> {reply}"),
            Ok([one]) => one.to_string(),
            Err(error) if error.kind() == SchemaErrorKind::TooLong => "(schema too long)".to_owned(),
            _ if self.codec == Format::Bytes.name() => "bytes".to_owned(),
            _ => self.codec.to_owned(),
        };
        match name.char_indices().nth(LONGEST) {
            Some(_) => name.chars().take(LONGEST - 1).chain(['…']).collect(),
            None => name,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{Channel, PubSub, ReqRep};

    #[test]
    fn messages_have_short_names() {
        let namespace = format!("label-{}", std::process::id());
        let list = || crate::list_segments_in(&namespace).unwrap();
        let rows: Channel<PubSub<[[f32; 2]; 3]>> = Channel::new("rows");
        let service: Channel<ReqRep<u8, [i16; 4]>> = Channel::new("service");
        let _rows = rows.open().namespace(&namespace).publisher().unwrap();
        let _service = service.open().namespace(&namespace).replier().unwrap();
        let mut found = list();
        assert_eq!(found[0].message_name(), "[[f32; 2]; 3]");
        assert_eq!(found[1].message_name(), "u8 -> [i16; 4]");
        let rows = &mut found[0];
        rows.schema = r#"[{"too_long":true}]"#.into();
        assert_eq!(rows.message_name(), "(schema too long)");
        rows.schema = "no schema".into();
        assert_eq!(rows.message_name(), "fixed layout");
        let name = "ö".repeat(61);
        rows.schema = format!(r#"[{{"size":0,"name":"{name}","align":1,"fields":[]}}]"#);
        assert_eq!(rows.message_name(), format!("{}…", "ö".repeat(59)));
        rows.problem = Some("it is damaged".into());
        assert_eq!(rows.message_name(), "");
    }
}
