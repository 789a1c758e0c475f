"""What a power cut may leave, made from the notes of recorder.c.

On the disk are all changes that were synced, and any part of the others: each
sector of 512 bytes holds what one of the writes to it since the last sync gave
it. Names (new, renamed and removed files) become durable in their order, with a
sync of their directory, and no earlier for sure."""

import math
import pathlib
import struct

SECTOR = 512
PAGE = 4096
HEAD = struct.Struct("=5Q")
# As in recorder.c.
(MKDIR, CREATE, RENAME, UNLINK, WRITE, RESIZE, SYNC, SYNCED, WRITTEN, MAPPED,
 FAILED, DIRECTORY) = range(1, 13)
NAMES = (MKDIR, CREATE, RENAME, UNLINK)
# LMDB's table of readers: it is made anew by the first that opens it.
NOT_KEPT = "lock.mdb"
NEVER = math.inf


class Change:
    """A write to a file, or its new size, or something done to a name."""
    __slots__ = ("event", "kind", "offset", "data", "durable")

    def __init__(self, event, kind, offset, data):
        self.event = event
        self.kind = kind
        self.offset = offset
        self.data = data
        self.durable = NEVER  # the event with which it is


class Content:
    """Bytes of a file that only has data in its first part."""

    def __init__(self, data=b"", size=0):
        self.data = bytearray(data)
        self.size = max(size, len(self.data))

    def copy(self):
        return Content(self.data, self.size)

    def write(self, offset, data):
        end = offset + len(data)
        if end > len(self.data):
            self.data.extend(bytes(end - len(self.data)))
        self.data[offset:end] = data
        self.size = max(self.size, end)

    def resize(self, size):
        del self.data[size:]
        self.size = size

    def apply(self, change):
        if change.kind == WRITE:
            self.write(change.offset, change.data)
        else:
            self.resize(change.offset)

    def apply_torn(self, change, random, odds):
        """Each sector of it with these odds."""
        if change.kind == RESIZE:
            if random.random() < odds:
                self.resize(change.offset)
            return
        at, end = change.offset, change.offset + len(change.data)
        while at < end:
            until = min(end, at - at % SECTOR + SECTOR)
            if random.random() < odds:
                self.write(at, change.data[at - change.offset:
                                           until - change.offset])
            at = until

    def save(self, path):
        with open(path, "wb") as file:
            file.write(self.data)
            file.truncate(self.size)

    def stages(self, change):
        """What it is before a change, while the kernel makes it, which it does
        a page at a time, and after it."""
        yield self
        if change.kind == WRITE:
            begin, size = change.offset, len(change.data)
            for end in range(begin - begin % PAGE + PAGE, begin + size, PAGE):
                part = self.copy()
                part.write(begin, change.data[:end - begin])
                yield part
        whole = self.copy()
        whole.apply(change)
        yield whole

    def same(self, path):
        data = pathlib.Path(path).read_bytes()
        return (len(data) == self.size and data.startswith(self.data)
                and not any(data[len(self.data):]))


class Record:
    """The notes of one run, which begins with the files now in `directory`."""

    def __init__(self, directory):
        self.times = []  # of each event, seconds of the monotonic clock
        self.files = {}  # inode -> its changes, in order
        self.pending = {}  # inode -> those that are not durable
        self.names = []  # changes of names
        self.directories = {}  # inode -> name
        self.stall = 0  # the longest sync, in seconds
        self.before = {}  # inode -> Content
        self.named = {}  # name -> inode, None for a directory
        # Where the base of the images made so far stands.
        self.base = {}
        self.based = {}
        self.read_before(pathlib.Path(directory))

    def read_before(self, directory):
        for path in sorted(directory.rglob("*")):
            name = str(path.relative_to(directory))
            if path.is_dir():
                self.named[name] = None
            else:
                file = path.stat().st_ino
                self.named[name] = file
                self.before[file] = Content(path.read_bytes())
                self.base[file] = self.before[file].copy()

    def read(self, log):
        """Takes the notes."""
        data = memoryview(pathlib.Path(log).read_bytes())
        at = 0
        while at < len(data):
            kind, file, time_ns, offset, size = HEAD.unpack_from(data, at)
            at += HEAD.size
            self.times.append(time_ns / 1e9)
            self.take(kind, file, offset, data[at:at + size])
            at += size

    def take(self, kind, file, offset, data):
        event = len(self.times) - 1
        if kind in NAMES:
            self.names.append(Change(event, kind, file, bytes(data).decode()))
        elif kind in (WRITE, RESIZE):
            change = Change(event, kind, offset, data)
            self.files.setdefault(file, []).append(change)
            self.pending.setdefault(file, []).append(change)
        elif kind == SYNCED:
            self.synced(file, offset, event)
        elif kind == WRITTEN:
            change = self.files[file][-1]
            assert change.event == offset
            change.durable = event
        elif kind == FAILED:
            raise AssertionError("event %d failed" % offset)
        elif kind == MAPPED:
            assert self.name_of(file).endswith(NOT_KEPT), (
                "%s is written through a map" % self.name_of(file))
        elif kind == DIRECTORY:
            self.directories[file] = bytes(data).decode()

    def synced(self, file, begin, event):
        self.stall = max(self.stall, self.times[event] - self.times[begin])
        if file in self.directories:
            inside = self.directories[file]
            changes = [change for change in self.names
                       if inside == parent(change.data)]
        else:
            changes = self.pending.get(file, [])
        for change in changes:
            if change.durable == NEVER and change.event < begin:
                change.durable = event
        self.pending[file] = [
            change for change in changes if change.durable == NEVER]

    def name_of(self, file):
        for change in reversed(self.names):
            if change.kind == CREATE and change.offset == file:
                return change.data
        return [name for name, named in self.named.items() if named == file][0]

    # ---- images ----

    def final_names(self, count):
        """name -> inode after the first `count` changes of names."""
        named = dict(self.named)
        for change in self.names[:count]:
            if change.kind == MKDIR:
                named[change.data] = None
            elif change.kind == CREATE:
                named[change.data] = change.offset
            elif change.kind == UNLINK:
                del named[change.data]
            else:
                old, new, _ = change.data.split("\0")
                named[new] = named.pop(old)
        return named

    def kept_names(self, cut, random):
        """How many changes of names are on the disk."""
        done = sum(change.event < cut for change in self.names)
        sure = 0
        for count, change in enumerate(self.names, 1):
            if change.durable < cut:
                sure = count
        return random.choice((sure, random.randint(sure, done), done))

    def content(self, file, cut, random, odds):
        """What a file holds after a cut before the event `cut`; cuts must
        not descend."""
        base = self.base.setdefault(file, Content())
        changes = self.files.get(file, [])
        count = self.based.get(file, 0)
        while count < len(changes) and changes[count].durable < cut:
            base.apply(changes[count])
            count += 1
        self.based[file] = count
        content = base.copy()
        for change in changes[count:]:
            if change.event >= cut:
                break
            pick = random.random()
            if change.durable < cut or pick < odds:
                content.apply(change)
            elif pick > 1 - (1 - odds) / 2:
                content.apply_torn(change, random, random.random())
        return content

    def image(self, cut, random, directory):
        """Writes what may be left of a cut before the event `cut`."""
        odds = random.choice((0, 0.1, 0.5, 0.9, 1))
        self.save(self.final_names(self.kept_names(cut, random)), directory,
                  lambda file: self.content(file, cut, random, odds))

    def save(self, named, directory, content_of):
        directory = pathlib.Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        for name, file in sorted(named.items()):
            if file is None:
                (directory / name).mkdir(exist_ok=True)
            elif not name.endswith(NOT_KEPT):
                content_of(file).save(directory / name)

    def check_whole(self, directory):
        """Nothing was missed: the files are what the notes make of them."""
        for name, file in self.final_names(len(self.names)).items():
            if file is None or name.endswith(NOT_KEPT):
                continue
            path = pathlib.Path(directory) / name
            content = self.before.get(file, Content()).copy()
            changes = self.files.get(file, [])
            # Noted before it is made: the last event of all may be one that
            # the kill came before, or came upon.
            last = changes[-1:] if self.is_last_event(changes[-1:]) else []
            for change in changes[:len(changes) - len(last)]:
                content.apply(change)
            stages = content.stages(last[0]) if last else [content]
            assert any(stage.same(path) for stage in stages), (
                "%s was written unseen" % name)

    def is_last_event(self, changes):
        return bool(changes) and changes[0].event == len(self.times) - 1


def parent(names):
    """The directory of a name, or of the second of two."""
    return names.rstrip("\0").split("\0")[-1].rpartition("/")[0]
