//! What people see: the numbered steps, their texts by language, and pages for the printer.

pub mod guide;
pub mod identity;
pub mod page;
