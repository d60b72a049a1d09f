//! Messages while they are read: how many bytes of them may be under way at once, over all streams.
//!
//! A message is taken in whole before it can be decoded, and takes many times its length when it is. So its
//! length, which stands before it, is paid for out of a part of `--ingest-memory` before the rest of it is
//! read; until then it waits in the sender's flow control. It is given back when the stream asks for the
//! next message, which it does when this one is in line for the disk. Whoever announces a message and does
//! not send it loses the stream.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Bytes;
use http_body::{Body, Frame};
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep};
use tonic::Status;

/// A flag and a length stand before each message (gRPC over HTTP/2, "Length-Prefixed-Message").
const HEAD_BYTES: usize = 5;
/// What a message takes while it is decoded and checked, in parts of its length: columns of numbers, and rows.
const EXPANSION: u32 = 12;
/// The same where it is compressed.
const EXPANSION_COMPRESSED: u32 = 48;
/// How long a message may take to come once there is room for it.
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(30);

/// Room for messages that are read, shared by all streams.
#[derive(Debug, Clone)]
pub struct Reading {
    room: Arc<Semaphore>,
    most: u32,
    patience: Duration,
}

impl Reading {
    /// Room for so many bytes.
    #[must_use]
    pub fn new(bytes: u32) -> Self {
        let room = Arc::new(Semaphore::new(bytes as usize));
        Self { room, most: bytes, patience: MESSAGE_TIMEOUT }
    }

    /// The body of a request whose messages wait for room.
    #[must_use]
    pub fn body(&self, body: tonic::body::Body) -> tonic::body::Body {
        tonic::body::Body::new(Metered::new(self.clone(), body))
    }
}

type Acquire = Pin<Box<dyn Future<Output = Result<OwnedSemaphorePermit, AcquireError>> + Send>>;

/// A body that is read message by message.
struct Metered<B> {
    reading: Reading,
    body: B,
    /// The message that comes: what of its head is there, and how many bytes of it are missing.
    head: Vec<u8>,
    missing: u64,
    /// What it has been given, and until when it must be there.
    held: Option<OwnedSemaphorePermit>,
    deadline: Option<Pin<Box<Sleep>>>,
    /// Bytes that wait for room.
    waiting: Option<(Acquire, Bytes)>,
}

impl<B> Metered<B> {
    fn new(reading: Reading, body: B) -> Self {
        let (head, held, deadline, waiting) = (Vec::new(), None, None, None);
        Self { reading, body, head, missing: 0, held, deadline, waiting }
    }

    /// Follows the messages in `data`; gives what those that begin in it take.
    fn follow(&mut self, mut data: &[u8]) -> u32 {
        let mut cost = 0u32;
        while !data.is_empty() {
            if self.missing > 0 {
                let here = usize::try_from(self.missing).unwrap_or(usize::MAX).min(data.len());
                self.missing -= here as u64;
                data = &data[here..];
                continue;
            }
            let here = (HEAD_BYTES - self.head.len()).min(data.len());
            self.head.extend_from_slice(&data[..here]);
            data = &data[here..];
            if let [flag, a, b, c, d] = self.head[..] {
                let length = u32::from_be_bytes([a, b, c, d]);
                let by = if flag == 0 { EXPANSION } else { EXPANSION_COMPRESSED };
                cost = cost.saturating_add(length.saturating_mul(by));
                (self.missing, self.head) = (length.into(), Vec::new());
            }
        }
        cost.min(self.reading.most)
    }

    fn is_between_messages(&self) -> bool {
        self.missing == 0 && self.head.is_empty()
    }

    /// Waits for room for what was read.
    fn poll_room(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Some((acquire, data)) = &mut self.waiting else { return Poll::Ready(None) };
        let Ok(permit) = ready!(acquire.as_mut().poll(context)) else { return Poll::Ready(None) };
        let data = std::mem::take(data);
        (self.waiting, self.held) = (None, Some(permit));
        self.deadline = Some(Box::pin(sleep(self.reading.patience)));
        Poll::Ready(Some(Ok(Frame::data(data))))
    }
}

impl<B> Body for Metered<B>
where
    B: Body<Data = Bytes, Error = Status> + Unpin,
{
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        if this.waiting.is_some() {
            return this.poll_room(context);
        }
        if this.is_between_messages() {
            // The stream asks for more: what it had is in line for the disk.
            (this.held, this.deadline) = (None, None);
        }
        let frame = match Pin::new(&mut this.body).poll_frame(context) {
            Poll::Ready(frame) => frame,
            Poll::Pending => {
                let late =
                    this.deadline.as_mut().is_some_and(|end| end.as_mut().poll(context).is_ready());
                let text = "a message was announced and did not come";
                return if late {
                    Poll::Ready(Some(Err(Status::deadline_exceeded(text))))
                } else {
                    Poll::Pending
                };
            }
        };
        let data = match frame.map(|frame| frame.map(Frame::into_data)) {
            Some(Ok(Ok(data))) => data,
            Some(Ok(Err(other))) => return Poll::Ready(Some(Ok(other))),
            Some(Err(error)) => return Poll::Ready(Some(Err(error))),
            None => return Poll::Ready(None),
        };
        let cost = this.follow(&data);
        if cost == 0 {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        // What came before has been handed on, or stands in the same bytes: it has no room of its own.
        this.held = None;
        let room = Arc::clone(&this.reading.room);
        this.waiting = Some((Box::pin(room.acquire_many_owned(cost)), data));
        this.poll_room(context)
    }

    fn is_end_stream(&self) -> bool {
        self.waiting.is_none() && self.body.is_end_stream()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::task::Waker;

    use super::*;

    /// Bytes that are there, and then nothing for ever.
    struct Chunks(VecDeque<Bytes>);

    impl Body for Chunks {
        type Data = Bytes;
        type Error = Status;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
            self.0
                .pop_front()
                .map_or(Poll::Pending, |data| Poll::Ready(Some(Ok(Frame::data(data)))))
        }
    }

    fn message(length: u32) -> Vec<u8> {
        let mut bytes = vec![0];
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.resize(HEAD_BYTES + length as usize, 7);
        bytes
    }

    fn metered(reading: &Reading, chunks: &[&[u8]]) -> Metered<Chunks> {
        let chunks = chunks.iter().map(|chunk| Bytes::copy_from_slice(chunk)).collect();
        Metered::new(reading.clone(), Chunks(chunks))
    }

    fn read(of: &mut Metered<Chunks>) -> Option<usize> {
        match Pin::new(of).poll_frame(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Some(Ok(frame))) => Some(frame.into_data().unwrap().len()),
            Poll::Ready(other) => panic!("{other:?}"),
            Poll::Pending => None,
        }
    }

    #[tokio::test]
    async fn a_message_waits_for_room_until_the_one_before_it_is_in_line() {
        let reading = Reading::new(EXPANSION * 100);
        let bytes = message(60);
        // In pieces, the head included.
        let mut first = metered(&reading, &[&bytes[..3], &bytes[3..30], &bytes[30..]]);
        assert_eq!([read(&mut first), read(&mut first)], [Some(3), Some(27)]);
        let mut second = metered(&reading, &[&bytes]);
        assert_eq!(read(&mut second), None, "60 and 60 are more than 100");
        assert_eq!(read(&mut first), Some(35));
        assert_eq!(read(&mut second), None, "the first is not in line yet");
        assert_eq!(read(&mut first), None, "it asks for more");
        assert_eq!(read(&mut second), Some(65));
        // One that is larger than all room waits for all of it.
        let mut large = metered(&reading, &[&message(1000)]);
        assert_eq!(read(&mut large), None);
        drop(second);
        assert_eq!(read(&mut large), Some(1005));
    }

    #[tokio::test]
    async fn a_message_that_does_not_come_gives_its_room_back() {
        let reading = Reading { patience: Duration::ZERO, ..Reading::new(1000) };
        let mut stalled = metered(&reading, &[&message(50)[..20]]);
        assert_eq!(read(&mut stalled), Some(20));
        sleep(Duration::from_millis(2)).await;
        let mut context = Context::from_waker(Waker::noop());
        let ended = Pin::new(&mut stalled).poll_frame(&mut context);
        assert!(matches!(ended, Poll::Ready(Some(Err(_)))), "{ended:?}");
    }
}
