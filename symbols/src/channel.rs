//! Sends and receives messages, and a few files with each, over a Unix socket.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use rustix::cmsg_space;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::protocol::{FILES_MAX, MESSAGE_BYTES_MAX};

const LENGTH_BYTES: usize = 4;

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Sends `message`, and `files` along with its first bytes.
pub(super) fn send(
    mut stream: &UnixStream,
    message: &impl Serialize,
    files: &[&File],
) -> io::Result<()> {
    let mut bytes = vec![0; LENGTH_BYTES];
    bytes = postcard::to_extend(message, bytes).map_err(|_| invalid("cannot encode"))?;
    let length = bytes.len() - LENGTH_BYTES;
    if length > MESSAGE_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "the message is too long"));
    }
    let length = u32::try_from(length).map_err(|_| invalid("cannot encode"))?;
    bytes[..LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
    let sent = send_start(stream, &bytes, files)?;
    stream.write_all(&bytes[sent..])
}

fn send_start(stream: &UnixStream, bytes: &[u8], files: &[&File]) -> io::Result<usize> {
    let files: Vec<_> = files.iter().map(AsFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(FILES_MAX))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !files.is_empty() && !control.push(SendAncillaryMessage::ScmRights(&files)) {
        return Err(invalid("too many files"));
    }
    let sent = sendmsg(stream, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL)?;
    Ok(sent)
}

/// Receives a message and the files that came with it. A timeout of the stream is for each read.
pub(super) fn receive<T: DeserializeOwned>(mut stream: &UnixStream) -> io::Result<(T, Vec<File>)> {
    let mut header = [0; LENGTH_BYTES];
    let (count, files) = receive_start(stream, &mut header)?;
    if count == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    stream.read_exact(&mut header[count..])?;
    let length = usize::try_from(u32::from_le_bytes(header)).unwrap_or(usize::MAX);
    if length > MESSAGE_BYTES_MAX {
        return Err(invalid("the message is too long"));
    }
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes)?;
    let message = postcard::from_bytes(&bytes).map_err(|_| invalid("cannot decode"))?;
    Ok((message, files))
}

fn receive_start(stream: &UnixStream, header: &mut [u8]) -> io::Result<(usize, Vec<File>)> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(FILES_MAX))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut buffers = [IoSliceMut::new(header)];
    let received = recvmsg(stream, &mut buffers, &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let files = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(files) => Some(files),
        _ => None,
    });
    let files = files.flatten().map(File::from).collect();
    Ok((received.bytes, files))
}

#[cfg(test)]
mod tests {
    use std::io::Seek;

    use super::super::protocol::{Image, Request, Role};
    use super::*;

    #[test]
    fn files_come_with_their_message() {
        let (here, there) = UnixStream::pair().expect("a socket pair");
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(b"content").expect("writes");
        let image = Image::File("aa".to_owned());
        let (path, roles) = ("/bin/a".to_owned(), vec![Role::Image, Role::Root]);
        let sent =
            Request { image, path, roles, debug_info: true, addresses: vec![1, 2, u64::MAX] };
        send(&here, &sent, &[&file, &file]).expect("sends");
        send(&here, &7_u32, &[]).expect("sends");
        let (received, passed) = receive::<Request>(&there).expect("receives");
        assert_eq!(received, sent);
        assert_eq!(passed.len(), 2);
        let mut passed = passed.into_iter().next_back().expect("the files came along");
        passed.rewind().expect("seeks");
        let mut content = String::new();
        passed.read_to_string(&mut content).expect("reads");
        assert_eq!(content, "content");
        let (number, none) = receive::<u32>(&there).expect("receives");
        assert_eq!((number, none.is_empty()), (7, true));
    }

    #[test]
    fn a_length_beyond_the_bound_is_refused() {
        let (here, there) = UnixStream::pair().expect("a socket pair");
        (&here).write_all(&u32::MAX.to_le_bytes()).expect("writes");
        let error = receive::<u32>(&there).expect_err("too long");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}
