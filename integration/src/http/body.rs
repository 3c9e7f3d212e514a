//! A body by its framing: chunked, counted, or until the connection ends.

use std::io::{self, BufRead, Read};

use super::answer::find;

/// What is left to read.
#[derive(Debug, Clone, Copy)]
enum Frame {
    /// This many bytes of the body.
    Counted(u64),
    /// This many bytes of the current chunk, then another chunk.
    Chunk(u64),
    /// Whatever comes.
    Endless,
    /// Nothing.
    Done,
}

/// Reads a body and tells a clean end (`Ok(0)`) from a cut (`UnexpectedEof`).
#[derive(Debug)]
pub(super) struct Body<R> {
    wire: R,
    frame: Frame,
}

impl<R: BufRead> Body<R> {
    pub(super) fn new(wire: R, bodiless: bool, headers: &[(String, String)]) -> Self {
        let length = find(headers, "content-length").and_then(|it| it.parse().ok());
        let chunked = find(headers, "transfer-encoding")
            .is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"));
        let frame = match (bodiless, chunked, length) {
            (true, _, _) => Frame::Done,
            (false, true, _) => Frame::Chunk(0),
            (false, false, Some(length)) => Frame::Counted(length),
            (false, false, None) => Frame::Endless,
        };
        Self { wire, frame }
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.wire.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim().to_owned())
    }

    /// Reads the size of the next chunk; the last one ends with its trailers.
    fn next_chunk(&mut self) -> io::Result<Frame> {
        let line = self.line()?;
        let digits = line.split(';').next().unwrap_or_default();
        let bad = |_| io::Error::new(io::ErrorKind::InvalidData, format!("chunk size {line:?}"));
        let size = u64::from_str_radix(digits, 16).map_err(bad)?;
        if size > 0 {
            return Ok(Frame::Chunk(size));
        }
        while !self.line()?.is_empty() {}
        Ok(Frame::Done)
    }

    fn take(&mut self, buffer: &mut [u8], left: u64) -> io::Result<u64> {
        let read = (&mut self.wire).take(left).read(buffer)?;
        if read == 0 && !buffer.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(u64::try_from(read).unwrap_or(left).min(left))
    }
}

impl<R: BufRead> Read for Body<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if matches!(self.frame, Frame::Chunk(0)) {
            self.frame = self.next_chunk()?;
        }
        let read = match self.frame {
            Frame::Done | Frame::Counted(0) => 0,
            Frame::Endless => return self.wire.read(buffer),
            Frame::Counted(left) => {
                let read = self.take(buffer, left)?;
                self.frame = Frame::Counted(left - read);
                read
            }
            Frame::Chunk(left) => {
                let read = self.take(buffer, left)?;
                if read == left {
                    self.line()?;
                }
                self.frame = Frame::Chunk(left - read);
                read
            }
        };
        usize::try_from(read).map_err(io::Error::other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(wire: &str, headers: &[(&str, &str)]) -> io::Result<String> {
        let headers: Vec<_> =
            headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut text = String::new();
        Body::new(wire.as_bytes(), false, &headers).read_to_string(&mut text)?;
        Ok(text)
    }

    #[test]
    fn chunks_are_joined() {
        let chunked = [("Transfer-Encoding", "chunked")];
        assert_eq!(body("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", &chunked).unwrap(), "abcde");
    }

    #[test]
    fn a_cut_is_an_error() {
        let chunked = [("transfer-encoding", "chunked")];
        for wire in ["3\r\nabc\r\n", "3\r\nab", "3\r\nabc\r\n0\r\n"] {
            assert_eq!(body(wire, &chunked).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        }
        assert!(body("abc", &[("Content-Length", "4")]).is_err());
    }

    #[test]
    fn counted_and_endless_bodies_end() {
        assert_eq!(body("abcd", &[("content-length", "3")]).unwrap(), "abc");
        assert_eq!(body("abcd", &[]).unwrap(), "abcd");
    }
}
