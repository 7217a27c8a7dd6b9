//! Answers for clients that read gzip.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use hyper::{HeaderMap, header::ACCEPT_ENCODING};

use super::{answer::Answer, etag};

/// Shorter ones fit a packet anyway.
const WORTH_IT: usize = 1_400;

/// Whether a client takes gzip.
pub fn is_accepted(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|encoding| {
        let mut parts = encoding.split(';').map(str::trim);
        let is_gzip = matches!(parts.next(), Some("gzip" | "x-gzip" | "*"));
        is_gzip && !parts.any(|part| matches!(part, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
    })
}

/// The answer compressed, if that is worth it.
pub fn answer(answer: Answer) -> Answer {
    let Some(body) = answer.body.as_ref().filter(|body| WORTH_IT <= body.len()) else { return answer };
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    match encoder.write_all(body).and_then(|()| encoder.finish()) {
        Ok(compressed) => {
            let mut answer = Answer { body: Some(compressed), ..answer };
            etag::mark_compressed(&mut answer);
            answer.header("content-encoding", "gzip")
        }
        Err(_) => answer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_say_what_they_take() {
        for (value, accepted) in [("gzip, deflate", true), ("br;q=1.0, gzip;q=0", false), ("identity", false)]
        {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, value.parse().unwrap());
            assert_eq!(is_accepted(&headers), accepted, "{value}");
        }
    }
}
