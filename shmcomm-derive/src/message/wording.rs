//! Which words an error about a field's type should use.
//!
//! Decides nothing: the compiler does, by the types. A wrong guess here costs helpfulness alone.

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::{GenericArgument, PathArguments, Type};

/// The part of `ty` that decides whether it is a message: the item of an array or of our containers,
/// however deep; and whether a container was on the way.
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

/// What can be told from the text alone: a part that is never a message, whatever its names mean.
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
        Type::BareFn(_) => {
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
                "a macro may expand to something else each time it is looked at\n\
                 fix: write the type out, or give it a name with `type`",
            ));
        }
        _ => return None,
    };
    Some((item, problem))
}

/// The derive repeats the tokens of the type; a macro among them could become two different types.
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

/// The trait to ask for of the innermost part. All of them hold for the same types; they differ in the
/// words of the error when it turns out not to be a message.
pub fn describing_trait(item: &Type, in_container: bool) -> &'static str {
    let plain = if in_container { "InlineItem" } else { "FixedLayout" };
    match item {
        Type::Tuple(_) => "NamedParts",
        Type::Path(path) => match path.path.segments.last().map(|s| s.ident.to_string()).as_deref() {
            Some("String" | "str" | "CString" | "CStr" | "OsString" | "PathBuf" | "Cow") => "InlineText",
            Some("Vec" | "VecDeque" | "LinkedList" | "BinaryHeap" | "Bytes") => "InlineList",
            Some("HashMap" | "BTreeMap" | "HashSet" | "BTreeSet" | "IndexMap") => "InlineMap",
            Some("Box" | "Rc" | "Arc" | "Weak" | "NonNull" | "Pin") => "InlineValue",
            Some("usize" | "isize") => "FixedWidth",
            Some("u128" | "i128") => "PortableInt",
            Some("Option" | "Result") => "TaggedOption",
            Some("Instant" | "SystemTime" | "DateTime" | "NaiveDateTime") => "PortableTime",
            Some("Duration" | "TimeDelta") => "PortableSpan",
            Some("Cell" | "RefCell" | "UnsafeCell" | "OnceCell" | "Mutex" | "RwLock") => "PlainData",
            Some(name) if name.starts_with("Atomic") => "PlainData",
            Some(name) if name.starts_with("NonZero") => "NeverZero",
            _ => plain,
        },
        _ => plain,
    }
}
