//! Tags of contents, so that who asks again is told that nothing changed instead of being sent it once more.

use hyper::{
    HeaderMap, Method, StatusCode,
    header::{IF_NONE_MATCH, ToStrError},
};
use sha2::{Digest, Sha256};

use super::answer::Answer;

const ETAG: &str = "etag";
/// What tells the tag of a compressed content from that of the same content as it is.
const COMPRESSED: &str = "-gzip";
/// Octets of the digest that make a tag.
const TAG_SIZE: usize = 12;

/// What a client has already, by the tags that it sent.
pub struct Known(Vec<String>);

impl Known {
    /// Only reading is conditional here.
    pub fn of(method: &Method, headers: &HeaderMap) -> Known {
        if method != Method::GET && method != Method::HEAD {
            return Known(Vec::new());
        }
        let values = headers.get_all(IF_NONE_MATCH).iter().map(|value| value.to_str());
        let values: Result<Vec<&str>, ToStrError> = values.collect();
        let tags = values.unwrap_or_default().into_iter().flat_map(|value| value.split(','));
        // Whether it is the very same octets does not matter for not sending them, so that weak tags count, too.
        Known(tags.map(|tag| bare(tag.trim().trim_start_matches("W/"))).collect())
    }

    fn has(&self, tag: &str) -> bool {
        self.0.iter().any(|known| known == "*" || known == tag)
    }

    /// The answer, or that it is as it was.
    pub fn apply(&self, answer: Answer) -> Answer {
        let tag = answer.headers.iter().find(|(name, _)| *name == ETAG).map(|(_, tag)| tag.clone());
        match tag {
            Some(tag) if answer.status == StatusCode::OK && self.has(&tag) => {
                Answer { status: StatusCode::NOT_MODIFIED, body: None, ..answer }
            }
            _ => answer,
        }
    }
}

/// A tag without what was added for the compressed form.
fn bare(tag: &str) -> String {
    match tag.strip_suffix('"').and_then(|tag| tag.strip_suffix(COMPRESSED)) {
        Some(tag) => format!("{tag}\""),
        None => tag.to_owned(),
    }
}

/// The answer with a tag of its content.
pub fn tagged(answer: Answer) -> Answer {
    let Some(body) = &answer.body else { return answer };
    let digest: String =
        Sha256::digest(body).iter().take(TAG_SIZE).map(|octet| format!("{octet:02x}")).collect();
    answer.header(ETAG, format!("\"{digest}\""))
}

/// Makes the tag that of the compressed content.
pub fn mark_compressed(answer: &mut Answer) {
    for (name, tag) in &mut answer.headers {
        if *name == ETAG && tag.ends_with('"') {
            tag.insert_str(tag.len() - 1, COMPRESSED);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(tags: &str) -> Known {
        let mut headers = HeaderMap::new();
        headers.insert(IF_NONE_MATCH, tags.parse().unwrap());
        Known::of(&Method::GET, &headers)
    }

    #[test]
    fn what_is_known_is_not_sent_again_in_whichever_form_it_was() {
        let answer = || tagged(Answer { body: Some(b"a hare".to_vec()), ..Answer::empty(StatusCode::OK) });
        let mut compressed = answer();
        mark_compressed(&mut compressed);
        let (plain, compressed) = (answer().headers[0].1.clone(), compressed.headers[0].1.clone());
        assert_ne!(plain, compressed);
        for known in
            [plain.clone(), compressed, format!("W/{plain}"), format!("\"other\", {plain}"), "*".into()]
        {
            let given = asked(&known).apply(answer());
            assert_eq!((given.status, given.body), (StatusCode::NOT_MODIFIED, None), "{known}");
        }
        for other in ["\"other\"", "", plain.trim_matches('"')] {
            assert_eq!(asked(other).apply(answer()).status, StatusCode::OK, "{other}");
        }
    }
}
