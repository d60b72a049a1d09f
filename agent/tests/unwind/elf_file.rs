//! Builds small ELF files with frame information, whole and damaged.

/// Where the text of built files begins.
pub const TEXT: u64 = 0x1000;
const FRAMES: u64 = 0x4000_0000;

/// A file with one executable segment, sections by name, and its `.eh_frame` findable by segment.
#[derive(Clone)]
pub struct ElfFile {
    pub class: u8,
    pub machine: u16,
    pub kind: u16,
    pub entry: u64,
    pub text_bytes: u64,
    /// Names and bytes; the first is also found by `PT_GNU_EH_FRAME`.
    pub sections: Vec<(&'static str, Vec<u8>)>,
    pub has_section_headers: bool,
    /// What the first section claims to hold, if not what it holds.
    pub claimed_bytes: Option<u64>,
}

impl Default for ElfFile {
    fn default() -> Self {
        Self {
            class: 2,
            machine: 62,
            kind: 3,
            entry: 0,
            text_bytes: 0x1000,
            sections: Vec::new(),
            has_section_headers: true,
            claimed_bytes: None,
        }
    }
}

impl ElfFile {
    pub fn with_eh_frame(bytes: Vec<u8>) -> Self {
        Self { sections: vec![(".eh_frame", bytes)], ..Self::default() }
    }

    /// The file's bytes: header, program headers, section bodies, names, section headers.
    pub fn build(&self) -> Vec<u8> {
        let mut body = Vec::new();
        let body_at = 64 + 3 * 56;
        // An .eh_frame_hdr that only points: version 1, absolute pointer, no table.
        let header_at = body_at as u64;
        body.extend([1, 0x04, 0xff, 0xff]);
        body.extend(FRAMES.to_le_bytes());
        let mut places = Vec::new();
        for (_, bytes) in &self.sections {
            places.push((body_at + body.len()) as u64);
            body.extend(bytes);
        }
        let first = (
            places.first().copied().unwrap_or(body_at as u64),
            self.sections.first().map_or(0, |(_, bytes)| bytes.len() as u64),
        );
        let names_at = (body_at + body.len()) as u64;
        let (names, name_at) = self.names();
        body.extend(&names);
        let mut sections = Vec::new();
        for (((_, bytes), &at), name) in self.sections.iter().zip(&places).zip(&name_at) {
            let claimed = self.claimed_bytes.filter(|_| at == first.0);
            let size = claimed.unwrap_or(bytes.len() as u64);
            sections.extend(section(*name, 1, FRAMES + (at - first.0), at, size));
        }
        sections.extend(section(0, 3, 0, names_at, names.len() as u64));
        let sections_at = (body_at + body.len()) as u64;
        let mut file = self.header(sections_at);
        file.extend(segment(1, 5, 0, TEXT, 0, self.text_bytes));
        file.extend(segment(1, 4, first.0, FRAMES, first.1, first.1));
        file.extend(segment(0x6474_e550, 4, header_at, 0x3000_0000, 12, 12));
        file.extend(body);
        file.extend(sections);
        file
    }

    fn names(&self) -> (Vec<u8>, Vec<u32>) {
        let mut names = vec![0];
        let mut places = Vec::new();
        for (name, _) in &self.sections {
            places.push(u32::try_from(names.len()).expect("short"));
            names.extend(name.bytes().chain([0]));
        }
        (names, places)
    }

    fn header(&self, sections_at: u64) -> Vec<u8> {
        let count = u16::try_from(self.sections.len()).expect("few");
        let (count, names) = if self.has_section_headers { (count + 1, count) } else { (0, 0) };
        let mut header = b"\x7fELF".to_vec();
        header.extend([self.class, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        header.extend(self.kind.to_le_bytes());
        header.extend(self.machine.to_le_bytes());
        header.extend(1_u32.to_le_bytes());
        header.extend([self.entry, 64, sections_at].map(u64::to_le_bytes).concat());
        header.extend([0; 4]);
        header.extend([64, 56, 3, 64, count, names].map(u16::to_le_bytes).concat());
        header
    }
}

fn segment(kind: u32, flags: u32, offset: u64, address: u64, file: u64, memory: u64) -> Vec<u8> {
    let mut bytes = [kind, flags].map(u32::to_le_bytes).concat();
    bytes.extend([offset, address, address, file, memory, 0x1000].map(u64::to_le_bytes).concat());
    bytes
}

fn section(name: u32, kind: u32, address: u64, offset: u64, size: u64) -> Vec<u8> {
    let mut bytes = [name, kind].map(u32::to_le_bytes).concat();
    bytes.extend([2, address, offset, size, 0, 8, 0].map(u64::to_le_bytes).concat());
    bytes
}

/// `.eh_frame` or `.debug_frame` as it is written.
#[derive(Clone, Default)]
pub struct Frames {
    pub bytes: Vec<u8>,
    is_debug: bool,
    cie: usize,
}

impl Frames {
    /// With a common entry as compilers write it: CFA = rsp + 8, return address at CFA - 8.
    pub fn eh_frame() -> Self {
        let mut frames = Self::default();
        frames.cie(b"", &[]);
        frames
    }

    pub fn debug_frame() -> Self {
        let mut frames = Self { is_debug: true, ..Self::default() };
        frames.cie(b"", &[]);
        frames
    }

    /// Another common entry, which the functions that follow refer to. Addresses are absolute.
    pub fn cie(&mut self, augmentation: &[u8], more: &[u8]) {
        self.cie = self.bytes.len();
        let mut body = if self.is_debug { vec![0xff; 4] } else { vec![0; 4] };
        body.push(1);
        body.extend(augmentation);
        // Code factor 1, data factor -8, return address in column 16.
        body.extend([0, 1, 0x78, 16]);
        // def_cfa rsp 8, offset rip 1
        body.extend([0x0c, 7, 8, 0x90, 1]);
        body.extend(more);
        self.entry(&body);
    }

    /// A function from `start`, a virtual address.
    pub fn fde(&mut self, start: u64, length: u64, instructions: &[u8]) {
        let at = self.bytes.len() + 4;
        let cie = if self.is_debug { self.cie } else { at - self.cie };
        self.fde_of(u32::try_from(cie).expect("small"), start, length, instructions);
    }

    /// The same with any reference to a common entry.
    pub fn fde_of(&mut self, cie: u32, start: u64, length: u64, instructions: &[u8]) {
        let mut body = cie.to_le_bytes().to_vec();
        body.extend([start, length].map(u64::to_le_bytes).concat());
        body.extend(instructions);
        self.entry(&body);
    }

    fn entry(&mut self, body: &[u8]) {
        self.bytes.extend(u32::try_from(body.len()).expect("short").to_le_bytes());
        self.bytes.extend(body);
    }
}
