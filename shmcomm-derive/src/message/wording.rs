//! Choice of the text of an error about a field's type.
//!
//! Decides nothing: the compiler does, by the types. A wrong guess here only makes the error less helpful.

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::{GenericArgument, PathArguments, Type};

/// Returns the part of `ty` that decides whether it is a message, and whether a container was on the way. The
/// part is the item of an array or of our containers, however deep.
pub fn innermost(ty: &Type) -> (&Type, bool) {
    let (mut ty, mut in_container) = (ty, false);
    loop {
        ty = match ty {
            Type::Array(array) => &array.elem,
            Type::Paren(inner) => &inner.elem,
            Type::Group(inner) => &inner.elem,
            Type::Path(path) => {
                let Some(last) = path.path.segments.last() else { break };
                let PathArguments::AngleBracketed(arguments) = &last.arguments else { break };
                match arguments.args.first() {
                    Some(GenericArgument::Type(item))
                        if last.ident == "ShmVec" || last.ident == "ShmOption" =>
                    {
                        in_container = true;
                        item
                    }
                    _ => break,
                }
            }
            _ => break,
        };
    }
    (ty, in_container)
}

/// Returns the type inside parentheses and the invisible groups that fragments of `macro_rules!` leave.
pub fn peel(ty: &Type) -> &Type {
    match ty {
        Type::Paren(inner) => peel(&inner.elem),
        Type::Group(inner) => peel(&inner.elem),
        _ => ty,
    }
}

/// Returns a part that, by the source text alone, is never a message, whatever its names mean.
pub fn never_inline(ty: &Type) -> Option<(&Type, &'static str)> {
    let item = innermost(ty).0;
    let problem = match item {
        Type::Reference(_) => {
            "a reference points into the memory of this process; other processes cannot follow it\n\
             fix: store the value itself; for text use `shmcomm::ShmString<N>`, for a list `[T; N]` or `shmcomm::ShmVec<T, N>`"
        }
        Type::Ptr(_) => {
            "a pointer means nothing in another process\n\
             fix: store the value itself, or an offset or index as `u64`"
        }
        Type::FnPtr(_) => {
            "a function pointer means nothing in another process\n\
             fix: store an enum that says which function to call"
        }
        Type::TraitObject(_) | Type::ImplTrait(_) => "a message needs one concrete type here",
        Type::Slice(_) => {
            "a slice has no fixed size\n\
             fix: use `[T; N]` or `shmcomm::ShmVec<T, N>`; for one long tail declare the channel as `PubSub<Header, [T]>`"
        }
        _ if has_macro(ty.to_token_stream()) => {
            return Some((
                ty,
                "a macro may expand to something else each time it is expanded\n\
                 fix: write the type out, or give it a name with `type`",
            ));
        }
        _ => return None,
    };
    Some((item, problem))
}

/// Returns `true` if the type contains a macro. The derive repeats the tokens of the type; a macro among them
/// could become two different types.
fn has_macro(tokens: TokenStream) -> bool {
    let mut after_ident = false;
    tokens.into_iter().any(|token| {
        let found = match &token {
            TokenTree::Punct(p) => p.as_char() == '!' && after_ident,
            TokenTree::Group(g) => has_macro(g.stream()),
            _ => false,
        };
        after_ident = matches!(token, TokenTree::Ident(_));
        found
    })
}

/// Returns a type argument of `ty` that, by its name, is no message: `String` of `Stamped<String>`. Also returns
/// the trait with the text of its error.
pub fn heap_part(ty: &Type) -> Option<(&Type, &'static str)> {
    let Type::Path(path) = innermost(ty).0 else { return None };
    let PathArguments::AngleBracketed(arguments) = &path.path.segments.last()?.arguments else { return None };
    arguments.args.iter().find_map(|argument| {
        let GenericArgument::Type(ty) = argument else { return None };
        let item = innermost(ty).0;
        match describing_trait(item, false) {
            "FixedLayout" => heap_part(item),
            words => Some((item, words)),
        }
    })
}

/// Returns the trait to require of the innermost part. All of these traits hold for the same types; they
/// differ in the text of the error for a type that is not a message.
pub fn describing_trait(item: &Type, in_container: bool) -> &'static str {
    let plain = if in_container { "InlineItem" } else { "FixedLayout" };
    match peel(item) {
        Type::Tuple(_) => "NamedParts",
        Type::Path(path) => match path.path.segments.last().map(|s| s.ident.to_string()).as_deref() {
            Some("String" | "str" | "CString" | "CStr" | "OsString" | "PathBuf" | "Cow") => "InlineText",
            Some("Vec" | "VecDeque" | "LinkedList" | "BinaryHeap" | "Bytes") => "InlineList",
            Some("HashMap" | "BTreeMap" | "HashSet" | "BTreeSet" | "IndexMap") => "InlineMap",
            Some("Box" | "Rc" | "Arc" | "Weak" | "NonNull" | "Pin") => "InlineValue",
            Some("usize" | "isize") => "FixedWidth",
            Some("Option" | "Result") => "TaggedOption",
            Some("Instant" | "SystemTime" | "DateTime" | "NaiveDateTime") => "PortableTime",
            Some("TimeDelta") => "PortableSpan",
            Some("Cell" | "RefCell" | "UnsafeCell" | "OnceCell" | "Mutex" | "RwLock") => "PlainData",
            Some(name) if name.starts_with("Atomic") => "PlainData",
            _ => plain,
        },
        _ => plain,
    }
}
