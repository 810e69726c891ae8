//! Parts of pickles, opcode by opcode.

/// Returns a pickle of protocol 5 without a frame.
pub fn p5(parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = vec![0x80, 5];
    parts.iter().for_each(|part| bytes.extend_from_slice(part));
    bytes.push(b'.');
    bytes
}

/// Returns `BINUNICODE` with its text.
pub fn text(text: &str) -> Vec<u8> {
    let mut bytes = vec![b'X'];
    bytes.extend((text.len() as u32).to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes
}

/// Returns `STACK_GLOBAL` with its two texts.
pub fn global(module: &str, name: &str) -> Vec<u8> {
    [text(module), text(name), vec![0x93]].concat()
}
