//! Tests of the verbs themselves.

#[cfg(not(target_os = "linux"))]
#[test]
fn elsewhere_every_verb_says_why_not() {
    let error = super::create_unnamed(std::path::Path::new("x")).err().unwrap();
    assert_eq!(error.kind(), std::io::ErrorKind::Unsupported);
    assert!(error.to_string().contains("needs Linux"));
}
