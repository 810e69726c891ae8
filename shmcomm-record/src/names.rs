//! Names for other languages: identifiers from arbitrary text.
//!
//! Owns the rules. Names in a segment are not unique and may be any text; names here are valid and unique where
//! they are used. Calls nothing. Never fails.

/// Returns the text as an identifier: ASCII letters, digits and `_`, without a digit in front.
pub fn identifier(text: &str) -> String {
    let mut name: String = text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    if name.is_empty() || name == "_" || name.starts_with(|c: char| c.is_ascii_digit()) {
        name.insert(0, 'x');
    }
    name
}

/// Returns the name, or the name with a number if it is taken.
pub fn unique(base: String, taken: impl Fn(&str) -> bool) -> String {
    if !taken(&base) {
        return base;
    }
    (2..).map(|number| format!("{base}_{number}")).find(|name| !taken(name)).unwrap_or(base)
}

/// Returns the name of a field as ROS and protobuf allow it: lower case, a letter in front, single underscores.
pub(crate) fn field_name(name: &str) -> String {
    let mut clean = String::new();
    for c in identifier(name).to_lowercase().chars() {
        if c != '_' || !clean.ends_with('_') {
            clean.push(c);
        }
    }
    let clean = clean.trim_matches('_');
    if clean.starts_with(|c: char| c.is_ascii_lowercase()) { clean.to_owned() } else { format!("x{clean}") }
}

/// Returns the name of a type as ROS and protobuf allow it: letters and digits, a capital in front.
pub(crate) fn type_name(name: &str) -> String {
    let mut clean = String::new();
    for word in name.split(|c: char| !c.is_ascii_alphanumeric()) {
        let mut chars = word.chars();
        clean.extend(chars.next().map(|first| first.to_ascii_uppercase()));
        clean.push_str(chars.as_str());
    }
    if clean.starts_with(|c: char| c.is_ascii_uppercase()) { clean } else { format!("X{clean}") }
}

/// Returns the name of a type with `_` between its words: `FrameHeader` is `frame_header`.
pub(crate) fn snake_case(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        let before = out.chars().last();
        if c.is_ascii_uppercase() && before.is_some_and(|before| !before.is_ascii_uppercase()) {
            out.push('_');
        }
        out.push(c);
    }
    out.to_lowercase()
}

/// Returns the last part of the name of a channel as the name of a type: `robot/front-camera` is `FrontCamera`.
pub(crate) fn type_of_channel(channel: &str) -> String {
    type_name(channel.rsplit('/').next().unwrap_or(channel))
}

/// Returns unique names for the parts of a struct or enum, in their order.
pub(crate) fn all_unique<'n>(names: impl Iterator<Item = &'n str>) -> Vec<String> {
    let mut done = Vec::<String>::new();
    for name in names {
        let name = unique(field_name(name), |name| done.iter().any(|known| known == name));
        done.push(name);
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_identifiers_and_unique() {
        assert_eq!(
            ["a b", "9", "", "_", "größe", "x"].map(identifier),
            ["a_b", "x9", "x", "x_", "gr__e", "x"]
        );
        assert_eq!(unique("a".into(), |name| name == "a" || name == "a_2"), "a_3");
    }

    #[test]
    fn names_of_fields_and_types_suit_ros() {
        assert_eq!(["Max__Speed", "_x_", "9", "größe"].map(field_name), ["max_speed", "x", "x9", "gr_e"]);
        assert_eq!(["frame header", "9", "Imu", ""].map(type_name), ["FrameHeader", "X9", "Imu", "X"]);
        assert_eq!(snake_case("FrameHeader"), "frame_header");
        assert_eq!(type_of_channel("robot/front-camera"), "FrontCamera");
        assert_eq!(all_unique(["a", "A", "b"].into_iter()), ["a", "a_2", "b"]);
    }
}
