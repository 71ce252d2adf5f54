//! Paper and camera: QR codes, lines that people type, printed pages in a real browser.
#![cfg(all(feature = "hsm", feature = "custody"))]

#[path = "../common/mod.rs"]
mod common;

mod codes;
mod crossing;
mod pages;
