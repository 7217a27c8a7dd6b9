//! One connection's task: moves octets between its socket and its session.
//!
//! It is one future that is polled by readiness of the socket, by the inbox and by its timer. Each poll
//! takes in what is there, in one read and one parse, and puts out what there is, in one write.

use std::{
    cell::RefCell,
    future::Future,
    io::{self, IoSlice},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{BufMut, Bytes};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf},
    time::Sleep,
};

use super::{clock::Clock, door::Place};
use crate::{
    amqp::{FrameHead, FrameKind, Limit},
    broker::Millis,
    engine::{LoginError, User},
    http::passwords,
    session::{Hold, SLICES_MAX, Session},
};

/// Octets of the read buffer that the connections of a thread share; a frame and a half at least.
const READ_BUFFER: usize = 256 << 10;
/// Rounds of one poll before other connections of the thread get their turn.
const ROUNDS: usize = 4;
/// Input that is taken in though it must wait, to notice that the peer gives up or has gone, in octets.
const HELD_INPUT_MAX: usize = 1 << 20;
/// How long a closed socket may still send, so that our last frame is not lost to a reset.
const LINGER: Duration = Duration::from_secs(2);
/// Octets discarded while lingering.
const LINGER_MAX: usize = 16 << 20;

/// Octets of one read of small frames: they, their messages and the output stay in a core's cache together.
const READ_SMALL: usize = 128 << 10;
/// A frame from this many octets on is read into a place of its own, where it is used: no part of it is moved.
const LARGE_FRAME: usize = 16 << 10;
/// Octets of the read between two large frames: enough for what stands between, and little of the second.
const READ_BETWEEN: usize = 4 << 10;
/// A large frame gets so many times the room of what has arrived of it, in case the rest never comes.
const ROOM_FACTOR: usize = 32;
/// A quiet connection gives memory back after so many milliseconds.
const RELEASE_AFTER: Millis = 2_000;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    /// The output buffer of whichever connection the thread serves.
    static SPARE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// What carries a connection: a socket, or TLS on one.
pub trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

/// The task of one connection.
pub struct Driver<W> {
    stream: W,
    session: Session,
    place: Place,
    clock: Clock,
    /// Received but not used up: the start of a frame, or what must wait.
    rest: Vec<u8>,
    /// The last frame was a large one, so that the next may be, too.
    between: bool,
    /// The session held input back, so that `rest` may hold complete frames.
    held: bool,
    /// Input waits because the peer does not read.
    choked: bool,
    /// Octets at the start of `rest` that hold no close of the peer.
    searched: usize,
    timer: Pin<Box<Sleep>>,
    timer_at: Option<Millis>,
    /// What was written may still wait below, as TLS makes records first. Sockets keep nothing back.
    unflushed: bool,
    /// When output last moved, or began to wait.
    moved_at: Millis,
    stall: Millis,
    read_size: usize,
    /// When to look whether the connection has been quiet; set while it holds memory for traffic.
    release_at: Option<Millis>,
    active_at: Millis,
    /// A password of its login is being checked.
    check: Option<Pin<Box<dyn Future<Output = Verdict> + Send>>>,
}

/// What came of checking a password.
type Verdict = Result<Arc<User>, LoginError>;

/// How a connection ended.
#[derive(Debug)]
enum End {
    /// Closed in order.
    Closed,
    /// The peer closed its socket, or it broke.
    Lost(Option<io::Error>),
    /// The peer did not take its output.
    Stalled,
    /// Too much was sent by peers that have not logged in.
    Crowded,
}

impl<W: Wire> Driver<W> {
    /// `stall` is how long a peer may take nothing before it is dropped; frames have `frame_max` octets at
    /// most.
    pub fn new(
        stream: W,
        session: Session,
        place: Place,
        clock: Clock,
        stall: Duration,
        frame_max: u32,
    ) -> Driver<W> {
        let now = clock.now();
        Driver {
            stream,
            session,
            place,
            clock,
            rest: Vec::new(),
            between: false,
            held: false,
            choked: false,
            searched: 0,
            timer: Box::pin(tokio::time::sleep(Duration::MAX)),
            timer_at: None,
            unflushed: false,
            moved_at: now,
            stall: Millis::try_from(stall.as_millis()).unwrap_or(Millis::MAX),
            read_size: READ_BUFFER.max(frame_max as usize * 2),
            release_at: None,
            active_at: now,
            check: None,
        }
    }

    /// Serves the connection to its end; what is left then is to close the socket politely.
    pub async fn run(mut self) -> Option<Farewell<W>> {
        let end = std::future::poll_fn(|context| self.poll(context)).await;
        let now = self.clock.now();
        let running = self.session.is_running();
        let who = self.session.description();
        self.session.disconnect(now);
        let closed = matches!(end, End::Closed);
        match end {
            End::Closed => tracing::debug!("{who}: closed"),
            End::Lost(None) if running => tracing::warn!("{who}: client unexpectedly closed TCP connection"),
            End::Lost(Some(error)) if running => tracing::warn!("{who}: connection lost: {error}"),
            End::Lost(_) => tracing::debug!("{who}: closed before it was open"),
            End::Crowded => {
                let what = format_args!("dropped, too much was sent before logins");
                self.session.ran_into(Limit::UnauthenticatedBytes, what, now);
            }
            End::Stalled => {
                let what = format_args!("dropped, it took none of its output for {} ms", self.stall);
                self.session.ran_into(Limit::OutputStall, what, now);
            }
        }
        let leave_open = Duration::from_millis(self.session.leave_open());
        let Driver { stream, place, .. } = self;
        closed.then_some(Farewell { stream, leave_open, _place: place })
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<End> {
        SPARE.with_borrow_mut(|spare| self.session.output().lend(spare));
        let polled = self.poll_rounds(context);
        SPARE.with_borrow_mut(|spare| self.session.output().take_back(spare));
        polled
    }

    fn poll_rounds(&mut self, context: &mut Context<'_>) -> Poll<End> {
        let now = self.clock.now();
        for _ in 0..ROUNDS {
            if self.session.next_timeout().is_some_and(|at| at <= now) {
                self.session.handle_timeout(now);
            }
            if self.session.is_unauthenticated() {
                self.advance_check(context, now);
            }
            self.session.check_log();
            if self.session.recheck_pressure(now, context.waker())
                | self.session.recheck_get(now, context.waker())
                | self.session.recheck_alarms(now)
                | self.session.recheck_log(context.waker())
            {
                self.held = true;
            }
            let mut progress = self.session.deliver(now, context.waker());
            match self.write(context, now) {
                Ok(written) => progress |= written,
                Err(end) => return Poll::Ready(end),
            }
            if self.session.is_finished() && self.session.output().is_empty() && !self.unflushed {
                return Poll::Ready(End::Closed);
            }
            match self.read(context, now) {
                Ok(read) => progress |= read,
                Err(end) => return Poll::Ready(end),
            }
            if !progress {
                return self.sleep(context, now);
            }
            self.active_at = now;
        }
        // Others on this thread come first; the rest of the work is not forgotten.
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// Has a password checked, if that takes long, and goes on with the login when it is done.
    fn advance_check(&mut self, context: &mut Context<'_>, now: Millis) {
        if let Some(check) = self.session.take_check() {
            self.check = Some(Box::pin(passwords::check(check)));
        }
        if let Some(Poll::Ready(verdict)) = self.check.as_mut().map(|check| check.as_mut().poll(context)) {
            self.check = None;
            self.session.finish_check(verdict, now);
            self.held = true;
        }
    }

    /// Writes what waits; true when anything was written.
    fn write(&mut self, context: &mut Context<'_>, now: Millis) -> Result<bool, End> {
        let mut any = false;
        loop {
            let output = self.session.output();
            if !output.is_writable() {
                self.flush(context, now)?;
                return Ok(any);
            }
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            let filled = output.slices(&mut slices);
            let slices = slices.get(..filled).unwrap_or_default();
            match Pin::new(&mut self.stream).poll_write_vectored(context, slices) {
                Poll::Ready(Ok(0)) => return Err(End::Lost(None)),
                Poll::Ready(Ok(written)) => {
                    output.advance(written);
                    self.session.sent(written, now);
                    self.moved_at = now;
                    self.unflushed = true;
                    any = true;
                }
                Poll::Ready(Err(error)) => return Err(End::Lost(Some(error))),
                Poll::Pending if self.moved_at + self.stall <= now => return Err(End::Stalled),
                Poll::Pending => return Ok(any),
            }
        }
    }

    /// Moves on what was written before; a socket has nothing of the kind.
    fn flush(&mut self, context: &mut Context<'_>, now: Millis) -> Result<(), End> {
        if !self.unflushed {
            return Ok(());
        }
        match Pin::new(&mut self.stream).poll_flush(context) {
            Poll::Ready(Ok(())) => self.unflushed = false,
            Poll::Ready(Err(error)) => return Err(End::Lost(Some(error))),
            Poll::Pending if self.moved_at + self.stall <= now => return Err(End::Stalled),
            Poll::Pending => {}
        }
        Ok(())
    }

    /// Reads once and acts on it; true when anything was read or used up.
    fn read(&mut self, context: &mut Context<'_>, now: Millis) -> Result<bool, End> {
        let read = self.read_more(context, now)?;
        if self.place.keep(self.rest.len()) { Ok(read) } else { Err(End::Crowded) }
    }

    fn read_more(&mut self, context: &mut Context<'_>, now: Millis) -> Result<bool, End> {
        let hold = self.session.hold();
        self.note_choked(hold == Hold::Output, now);
        match hold {
            Hold::No => {}
            Hold::Pressure | Hold::Log => return Ok(false),
            Hold::Output | Hold::Alarm | Hold::Login | Hold::Page => return self.read_held(context, now),
        }
        BUFFER.with_borrow_mut(|buffer| {
            if buffer.len() < self.read_size {
                buffer.resize(self.read_size, 0);
            }
            let kept = self.rest.len();
            if std::mem::take(&mut self.held) {
                // Complete frames may wait in there; they come before anything new.
                let input = std::mem::take(&mut self.rest);
                let used = self.session.receive(&input, now);
                self.keep(input.get(used..).unwrap_or_default());
                self.note_login();
                return Ok(true);
            }
            let missing = self.missing_of_frame();
            if LARGE_FRAME <= kept + missing && missing != 0 && !self.session.is_unauthenticated() {
                return self.read_large(missing, context, now);
            }
            let Some((head, space)) = buffer.split_at_mut_checked(kept) else { return Ok(false) };
            let portion = if self.between { READ_BETWEEN } else { READ_SMALL };
            let space = space.get_mut(..portion).unwrap_or_default();
            let mut space = ReadBuf::new(space);
            match Pin::new(&mut self.stream).poll_read(context, &mut space) {
                Poll::Pending => return Ok(false),
                Poll::Ready(Err(error)) => return Err(End::Lost(Some(error))),
                Poll::Ready(Ok(())) => {}
            }
            let read = space.filled().len();
            if read == 0 {
                return Err(End::Lost(None));
            }
            // What was just read may have been sent after this poll began, and must not be taken for older: from
            // now on it waits for its delay.
            let now = self.clock.now();
            self.session.received(now);
            self.between = false;
            if read < missing {
                // A frame that trickles in is not copied back and forth at every read.
                self.rest.extend_from_slice(space.filled());
                return Ok(true);
            }
            head.copy_from_slice(&self.rest);
            let input = buffer.get(..kept + read).unwrap_or_default();
            let used = self.session.receive(input, now);
            let rest = input.get(used..).unwrap_or_default();
            self.keep(rest);
            self.note_login();
            Ok(true)
        })
    }

    /// How much is missing of the frame that what was kept begins; 0 when that is not known, or when the frame is
    /// so long that it is the session's to refuse.
    fn missing_of_frame(&self) -> usize {
        let Some(head) = FrameHead::parse(&self.rest) else { return 0 };
        let known = !matches!(head.kind, FrameKind::Unknown(_)) && head.frame_size() <= self.read_size / 2;
        if known { head.frame_size().saturating_sub(self.rest.len()) } else { 0 }
    }

    /// Reads more of a large frame behind what has come of it, and acts on it once it is complete. One that
    /// trickles in is looked at no more often than it grows.
    fn read_large(&mut self, missing: usize, context: &mut Context<'_>, now: Millis) -> Result<bool, End> {
        let room = missing.min(self.rest.len() * ROOM_FACTOR);
        self.rest.reserve_exact(room);
        let mut space = (&mut self.rest).limit(room);
        let read = match pin!(self.stream.read_buf(&mut space)).poll(context) {
            Poll::Pending => return Ok(false),
            Poll::Ready(Err(error)) => return Err(End::Lost(Some(error))),
            Poll::Ready(Ok(0)) => return Err(End::Lost(None)),
            Poll::Ready(Ok(read)) => read,
        };
        self.session.received(now);
        if read == missing {
            let frame = Bytes::from(std::mem::take(&mut self.rest));
            let used = self.session.receive_frame(&frame, now);
            self.keep(frame.get(used..).unwrap_or_default());
            self.note_login();
            self.between = true;
        }
        Ok(true)
    }

    /// Says once that the peer is not read because it does not read either.
    fn note_choked(&mut self, choked: bool, now: Millis) {
        if choked && !self.choked {
            let what = format_args!("its input waits until it takes its output");
            self.session.ran_into(Limit::Output, what, now);
        }
        self.choked = choked;
    }

    /// Whoever has logged in is not among those that are dropped when too many wait.
    fn note_login(&mut self) {
        if !self.session.is_unauthenticated() {
            self.place.logged_in();
        }
    }

    fn keep(&mut self, rest: &[u8]) {
        self.rest.clear();
        self.rest.extend_from_slice(rest);
        self.note_kept();
    }

    /// What is kept begins with a frame, complete or not.
    fn note_kept(&mut self) {
        self.searched = 0;
        self.held = self.session.hold() != Hold::No;
    }

    /// Takes a little in without acting on it: an end of the stream must be noticed.
    fn read_held(&mut self, context: &mut Context<'_>, now: Millis) -> Result<bool, End> {
        self.held = true;
        if HELD_INPUT_MAX <= self.rest.len() {
            return Ok(false);
        }
        let mut octets = [0; 16 << 10];
        let mut space = ReadBuf::new(&mut octets);
        match Pin::new(&mut self.stream).poll_read(context, &mut space) {
            Poll::Pending => Ok(false),
            Poll::Ready(Err(error)) => Err(End::Lost(Some(error))),
            Poll::Ready(Ok(())) if space.filled().is_empty() => Err(End::Lost(None)),
            Poll::Ready(Ok(())) => {
                self.session.received(now);
                self.rest.extend_from_slice(space.filled());
                let news = self.rest.get(self.searched..).unwrap_or_default();
                match self.session.close_if_asked(news, now) {
                    Ok(()) => self.rest.clear(),
                    Err(searched) => self.searched += searched,
                }
                Ok(true)
            }
        }
    }

    /// Sets the timer for the next thing that is due.
    fn sleep(&mut self, context: &mut Context<'_>, now: Millis) -> Poll<End> {
        let waits = self.unflushed || self.session.output().is_writable();
        let stalled_at = waits.then(|| self.moved_at + self.stall);
        match self.release_at {
            Some(at) if at <= now => self.release(now),
            None if self.active_at == now => self.release_at = Some(now + RELEASE_AFTER),
            _ => {}
        }
        let at = [self.session.next_timeout(), stalled_at, self.release_at].into_iter().flatten().min();
        if at != self.timer_at {
            self.timer_at = at;
            if let Some(at) = at {
                self.timer.as_mut().reset(self.clock.instant(at));
            }
        }
        if at.is_some() && self.timer.as_mut().poll(context).is_ready() {
            self.timer_at = None;
            context.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// Gives back memory that only traffic needs, unless there was traffic lately.
    fn release(&mut self, now: Millis) {
        let quiet_at = self.active_at + RELEASE_AFTER;
        if now < quiet_at {
            self.release_at = Some(quiet_at);
            return;
        }
        self.release_at = None;
        self.session.release();
        if self.rest.is_empty() {
            self.rest = Vec::new();
        }
    }
}

/// A socket whose connection has ended in order.
#[derive(Debug)]
pub struct Farewell<W> {
    stream: W,
    /// How long the peer may take to close it first.
    leave_open: Duration,
    _place: Place,
}

impl<W: Wire> Farewell<W> {
    /// Closes the socket. A client that asked to close expects to close it itself (CON-70). Closing with
    /// octets unread would reset the connection, and the peer might lose our last frame (CON-06).
    pub async fn close(mut self) {
        use tokio::io::AsyncWriteExt;
        if !self.leave_open.is_zero() && self.discard(self.leave_open).await {
            return;
        }
        // TLS has a last word of its own, which a peer that does not read would hold up.
        if let Ok(Ok(())) = tokio::time::timeout(LINGER, self.stream.shutdown()).await {
            self.discard(LINGER).await;
        }
    }

    /// Reads what still comes, within bounds of time and amount; true when the peer closed.
    async fn discard(&mut self, limit: Duration) -> bool {
        use tokio::io::AsyncReadExt;
        let read_on = async {
            let mut octets = [0; 4096];
            let mut discarded = 0;
            while discarded < LINGER_MAX {
                match self.stream.read(&mut octets).await {
                    Ok(0) | Err(_) => return true,
                    Ok(read) => discarded += read,
                }
            }
            false
        };
        tokio::time::timeout(limit, read_on).await.unwrap_or(false)
    }
}
