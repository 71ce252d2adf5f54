//! placeholder until the custody branch is merged
pub fn escape(text: &str) -> String {
    text.chars().flat_map(char::escape_debug).collect()
}
