//! The rules of `ARCHITECTURE.md` and `CONTRIBUTING.md` that a program can check in the sources: layers and circles,
//! unsafe code, the import of atomics, locks, module headers, lengths of files, texts, words, and licences.

mod circles;
mod files;
mod layers;
mod licences;
mod locks;
mod modules;
mod places;
mod sources;
mod style;
mod texts;
