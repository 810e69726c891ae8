//! The names that a pickle may use, and what they stand for here.
//!
//! Owns the allow-list. A name on it is a symbol for a shape of data; nothing is ever imported or
//! called, so a name that is not on it can do no harm either: it is an error when it would have
//! to be called, and the class of an instance otherwise.

/// What a `module.name` stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// Any other name.
    Other,
    /// Any other name of `builtins`: a base or a factory in passing, never called or instantiated.
    Builtin,
    Set,
    FrozenSet,
    Bytes,
    ByteArray,
    Complex,
    /// `_codecs.encode`, by which protocols 0 to 2 write bytes as text.
    Encode,
    /// `copyreg._reconstructor`, by which protocols 0 and 1 make instances.
    Reconstructor,
    OrderedDict,
    DefaultDict,
    Deque,
    /// `numpy.ndarray`.
    NdArray,
    /// `numpy.dtype`.
    Dtype,
    /// `…multiarray._reconstruct`: an empty array, filled by its state.
    Reconstruct,
    /// `…multiarray.scalar`.
    Scalar,
    /// `…numeric._frombuffer`, by which protocol 5 writes contiguous arrays.
    FromBuffer,
}

/// Looks a name up. Python 2's names are what protocols 0 to 2 write; `numpy._core` is
/// `numpy.core` since numpy 2.
pub(super) fn look_up(module: &[u8], name: &[u8]) -> Known {
    match (module, name) {
        (b"builtins" | b"__builtin__", name) => match name {
            b"set" => Known::Set,
            b"frozenset" => Known::FrozenSet,
            b"bytes" => Known::Bytes,
            b"bytearray" => Known::ByteArray,
            b"complex" => Known::Complex,
            _ => Known::Builtin,
        },
        (b"_codecs", b"encode") => Known::Encode,
        (b"copyreg" | b"copy_reg", b"_reconstructor") => Known::Reconstructor,
        (b"collections", b"OrderedDict") => Known::OrderedDict,
        (b"collections", b"defaultdict") => Known::DefaultDict,
        (b"collections", b"deque") => Known::Deque,
        (b"numpy", b"ndarray") => Known::NdArray,
        (b"numpy", b"dtype") => Known::Dtype,
        (b"numpy._core.multiarray" | b"numpy.core.multiarray", b"_reconstruct") => Known::Reconstruct,
        (b"numpy._core.multiarray" | b"numpy.core.multiarray", b"scalar") => Known::Scalar,
        (b"numpy._core.numeric" | b"numpy.core.numeric", b"_frombuffer") => Known::FromBuffer,
        _ => Known::Other,
    }
}
