//! Equal keys of one dict: as in Python, the last value counts, in the place of the first key.
//!
//! Owns the comparison of keys by Python's rules, under which `1`, `1.0` and `True` are one key. Calls
//! nothing. Few text keys cost a few instructions each; many keys are hashed with a random seed, so that
//! no message can make the search long.

use std::hash::{BuildHasher, Hash, Hasher, RandomState};

use super::Value;

/// Maximum number of keys that are compared with one another instead of being hashed.
const FEW: usize = 32;

/// Removes the pairs with a repeated key; the last value takes the place of the first.
pub(super) fn last_wins(pairs: &mut Vec<(Value, Value)>) {
    let repeated = if pairs.len() <= FEW { few(pairs) } else { many(pairs) };
    if repeated.is_empty() {
        return;
    }
    let mut gone = vec![false; pairs.len()];
    for (first, again) in repeated {
        gone[again] = true;
        pairs[first].1 = std::mem::take(&mut pairs[again].1);
    }
    let mut gone = gone.into_iter();
    pairs.retain(|_| !gone.next().unwrap_or_default());
}

/// First and later indices of the same key, later indices in rising order.
type Repeated = Vec<(usize, usize)>;

fn few(pairs: &[(Value, Value)]) -> Repeated {
    let mut repeated = Repeated::new();
    let mut seen = 0u64;
    for (i, (key, _)) in pairs.iter().enumerate() {
        // One bit of 64 for each text: most keys of a message have their own bit.
        if let Value::Str(text) = key {
            let (first, last) = (text.as_bytes().first(), text.as_bytes().last());
            let mix =
                text.len() + 7 * usize::from(*first.unwrap_or(&0)) + 29 * usize::from(*last.unwrap_or(&0));
            let bit = 1 << (mix % 64);
            if seen & bit == 0 {
                seen |= bit;
                continue;
            }
        }
        if let Some(first) = pairs[..i].iter().position(|(before, _)| same(before, key)) {
            repeated.push((first, i));
        }
    }
    repeated
}

fn many(pairs: &[(Value, Value)]) -> Repeated {
    let state = RandomState::new();
    let mut hashes: Vec<(u64, u32)> = Vec::with_capacity(pairs.len());
    for (i, (key, _)) in pairs.iter().enumerate() {
        let mut hasher = state.build_hasher();
        hash(key, &mut hasher);
        hashes.push((hasher.finish(), i as u32));
    }
    hashes.sort_unstable();
    let mut repeated = Repeated::new();
    for group in hashes.chunk_by(|a, b| a.0 == b.0).filter(|group| group.len() > 1) {
        let mut firsts: Vec<usize> = Vec::new();
        for &(_, i) in group {
            let i = i as usize;
            match firsts.iter().find(|&&first| same(&pairs[first].0, &pairs[i].0)) {
                Some(&first) => repeated.push((first, i)),
                None => firsts.push(i),
            }
        }
    }
    repeated.sort_unstable_by_key(|&(_, again)| again);
    repeated
}

/// Returns a number in a form that compares across types, if it is whole and has at most 127 bits.
fn whole(value: &Value) -> Option<i128> {
    /// 2^126, which a float represents exactly.
    const LARGE: f64 = (1u128 << 126) as f64;
    match value {
        Value::Bool(truth) => Some(i128::from(*truth)),
        Value::Int(n) => Some(i128::from(*n)),
        Value::BigInt(n) => n.to_i128(),
        Value::Float(x) if x.fract() == 0.0 && x.abs() < LARGE => Some(*x as i128),
        _ => None,
    }
}

fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Str(a), Value::Str(b)) => a == b,
        (Value::Tuple(a), Value::Tuple(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::FrozenSet(a), Value::FrozenSet(b)) => {
            a.len() == b.len() && hash_all(a) == hash_all(b) && a.iter().all(|a| b.iter().any(|b| same(a, b)))
        }
        _ => match (whole(a), whole(b)) {
            (Some(a), Some(b)) => a == b,
            (None, None) => a == b,
            _ => false,
        },
    }
}

/// Hashes values alike that [`same`] considers equal.
fn hash(value: &Value, hasher: &mut impl Hasher) {
    if let Some(n) = whole(value) {
        return n.hash(hasher);
    }
    match value {
        Value::Str(text) => text.hash(hasher),
        Value::Bytes(bytes) => bytes.hash(hasher),
        Value::BigInt(n) => n.hash(hasher),
        Value::Float(x) => x.to_bits().hash(hasher),
        Value::None => 0u8.hash(hasher),
        Value::Tuple(items) => {
            items.len().hash(hasher);
            items.iter().for_each(|item| hash(item, hasher));
        }
        Value::FrozenSet(items) => (items.len(), hash_all(items)).hash(hasher),
        other => format!("{other:?}").hash(hasher),
    }
}

/// Hashes all items in any order. The seed is fixed: the result is only compared, or hashed again.
fn hash_all(items: &[Value]) -> u64 {
    items.iter().fold(0u64, |sum, item| {
        let mut hasher = std::hash::DefaultHasher::new();
        hash(item, &mut hasher);
        sum.wrapping_add(hasher.finish())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pairs: &[(Value, i64)], left: &[(Value, i64)]) {
        // The pairs are tested alone, and among enough pairs that they are hashed.
        for more in [0, 100i64] {
            let mut all: Vec<(Value, Value)> =
                (0..more).map(|i| (format!("k{i}").into(), Value::None)).collect();
            let mut want = all.clone();
            all.extend(pairs.iter().map(|(key, n)| (key.clone(), Value::Int(*n))));
            want.extend(left.iter().map(|(key, n)| (key.clone(), Value::Int(*n))));
            last_wins(&mut all);
            assert_eq!(all, want);
        }
    }

    #[test]
    fn the_last_value_counts_in_the_place_of_the_first() {
        let text = |text: &str| Value::from(text);
        check(&[], &[]);
        check(&[(text("a"), 1), (text("b"), 2), (text("a"), 3)], &[(text("a"), 3), (text("b"), 2)]);
        check(
            &[(text("a"), 1), (text("a"), 2), (text("a"), 3), (text("c"), 4)],
            &[(text("a"), 3), (text("c"), 4)],
        );
        check(
            &[(Value::Int(1), 1), (Value::Bool(true), 2), (Value::Float(1.0), 3), (Value::Float(1.5), 4)],
            &[(Value::Int(1), 3), (Value::Float(1.5), 4)],
        );
        check(
            &[(Value::None, 1), (Value::Int(0), 2), (text(""), 3), (Value::bytes([]), 4)],
            &[(Value::None, 1), (Value::Int(0), 2), (text(""), 3), (Value::bytes([]), 4)],
        );
        let tuple = |n: Value| Value::Tuple(vec![n, text("x")]);
        check(&[(tuple(1i64.into()), 1), (tuple(1.0.into()), 2)], &[(tuple(1i64.into()), 2)]);
        let set = |items: [i64; 2]| Value::FrozenSet(items.map(Value::Int).into());
        check(&[(set([1, 2]), 1), (set([2, 1]), 2), (set([1, 3]), 3)], &[(set([1, 2]), 2), (set([1, 3]), 3)]);
        let nan = Value::Float(f64::NAN);
        let mut pairs = vec![(nan.clone(), Value::None), (nan, Value::None)];
        last_wins(&mut pairs);
        assert_eq!(pairs.len(), 2);
        let big = |x: i128| Value::from(x);
        check(&[(big(1 << 80), 1), (Value::Float((1u128 << 80) as f64), 2)], &[(big(1 << 80), 2)]);
    }
}
