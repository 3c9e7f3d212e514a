//! Texts of the `Warning` header (RFC 9111 section 5.5 as Kubernetes uses it: code 299, agent `-`).

/// The value of a `Warning` header that kubectl prints as `Warning: text`.
///
/// Control characters become spaces, quotes and backslashes are escaped, and the text ends after
/// 1,024 characters, so that no member can smuggle a header through its own warnings.
pub fn header(text: &str) -> String {
    let mut value = String::from("299 - \"");
    for character in text.chars().take(1024) {
        match character {
            '"' | '\\' => value.extend(['\\', character]),
            character if character.is_control() => value.push(' '),
            character => value.push(character),
        }
    }
    value.push('"');
    value
}

/// The text of a `Warning` header that another API server sent; `None` where it is no such header.
pub fn text(header: &str) -> Option<String> {
    let quoted = header.split_once('"')?.1.rsplit_once('"')?.0;
    let mut text = String::new();
    let mut characters = quoted.chars();
    while let Some(character) = characters.next() {
        text.push(if character == '\\' { characters.next()? } else { character });
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_escaped_and_line_breaks_cannot_start_a_header() {
        assert_eq!(
            header("osaka: \"no\"\r\nSet-Cookie: x"),
            r#"299 - "osaka: \"no\"  Set-Cookie: x""#
        );
    }

    #[test]
    fn a_text_comes_out_of_its_header_as_it_went_in() {
        for written in ["plain", "say \"no\"", "back\\slash"] {
            assert_eq!(text(&header(written)).as_deref(), Some(written));
        }
        assert_eq!(text("garbage"), None);
    }
}
