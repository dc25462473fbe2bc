import threading

from vtrace_ovs.controller.mailbox import Mailbox

DEADLINE = 60.0


class Receiver:
    """Keeps what it is given, and tells when as much came as was expected."""

    def __init__(self, expected: int) -> None:
        self.items: list[tuple[int, int]] = []
        self.threads: set[int] = set()
        self.done = threading.Event()
        self._expected = expected

    def receive(self, item: tuple[int, int]) -> None:
        self.items.append(item)
        self.threads.add(threading.get_ident())
        if len(self.items) == self._expected:
            self.done.set()


def test_what_many_threads_post_arrives_on_one_thread_each_in_order() -> None:
    receiver = Receiver(400)
    mailbox = Mailbox(receiver.receive)
    mailbox.start()

    def post(who: int) -> None:
        for number in range(100):
            mailbox.post((who, number))

    posting = [threading.Thread(target=post, args=(who,)) for who in range(4)]
    for thread in posting:
        thread.start()
    for thread in posting:
        thread.join()
    assert receiver.done.wait(DEADLINE)
    mailbox.close()
    assert len(receiver.threads) == 1
    assert all([n for who, n in receiver.items if who == one] == list(range(100)) for one in range(4))


def test_what_was_posted_before_the_start_is_delivered() -> None:
    receiver = Receiver(3)
    mailbox = Mailbox(receiver.receive)
    for number in range(3):
        mailbox.post((0, number))
    mailbox.start()
    mailbox.close()
    assert receiver.done.wait(DEADLINE)


def test_posting_after_the_end_is_nothing() -> None:
    mailbox = Mailbox(Receiver(1).receive)
    mailbox.start()
    mailbox.close()
    mailbox.post((0, 0))
    mailbox.close()


def test_one_that_was_never_started_has_nothing_to_close() -> None:
    mailbox = Mailbox(Receiver(1).receive)
    mailbox.post((0, 0))
    mailbox.close()
