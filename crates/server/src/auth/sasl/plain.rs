//! PLAIN (RFC 4616): user and password as they are, in one message.

use super::Failure;

/// Longer names and passwords are refused.
const PART_BYTES_MAX: usize = 1024;

/// Who says what.
#[derive(PartialEq, Eq)]
pub(super) struct Login<'a> {
    pub(super) user: &'a str,
    pub(super) password: &'a [u8],
}

impl<'a> Login<'a> {
    /// Reads `authzid NUL authcid NUL password`.
    pub(super) fn parse(message: &'a [u8]) -> Result<Self, Failure> {
        let bad = || Failure::malformed("the PLAIN message is malformed");
        let text = std::str::from_utf8(message).map_err(|_| bad())?;
        let mut parts = text.split('\0');
        let (Some(authorized), Some(user), Some(password), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(bad());
        };
        let is_sane = |part: &str| (1..=PART_BYTES_MAX).contains(&part.len());
        if !is_sane(user) || !is_sane(password) {
            return Err(bad());
        }
        if !authorized.is_empty() && authorized != user {
            return Err(Failure::malformed("nobody may act for another user"));
        }
        Ok(Self {
            user,
            password: password.as_bytes(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins_are_read() {
        for message in ["\0anna\0secret", "anna\0anna\0secret"] {
            let login = Login::parse(message.as_bytes()).ok().unwrap();
            assert_eq!((login.user, login.password), ("anna", &b"secret"[..]));
        }
    }

    #[test]
    fn what_is_no_login_is_refused() {
        let long = format!("\0anna\0{}", "x".repeat(PART_BYTES_MAX + 1));
        for message in [
            &b""[..],
            b"anna",
            b"\0anna",
            b"\0\0secret",
            b"\0anna\0",
            b"\0anna\0a\0b",
            b"bert\0anna\0secret",
            b"\0anna\0\xff",
            long.as_bytes(),
        ] {
            assert!(Login::parse(message).is_err());
        }
    }
}
