//! Empty: a separate package for the example that handles signals, so that no other example builds its
//! dependencies.
