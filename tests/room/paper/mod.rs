//! Paper and camera: QR codes, lines that people type, printed pages in a real browser.

mod codes;
mod crossing;
mod pages;
