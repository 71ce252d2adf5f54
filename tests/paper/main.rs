//! Paper and camera: QR codes, lines that people type, printed pages in a real browser.
#![cfg(all(feature = "hsm", feature = "custody"))]

mod codes;
