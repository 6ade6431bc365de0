"""Write the messages of clumsy command lines: `python tests/golden/regenerate_messages.py`.

To add a line, append `$ avscene ...` to messages.txt and run this. Read the difference before committing it: each
message must state what is wrong, where, and what to do.
"""

import os
import sys
import tempfile
from pathlib import Path

os.environ |= {"HF_ENDPOINT": "http://127.0.0.1:9", "COLUMNS": "80"}
sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from tests.support.clumsy_inputs import MESSAGES, answers, as_text

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = f"{folder}/cache"
        directory = Path(folder) / "work"
        directory.mkdir()
        text = "\n".join(as_text(*answer) for answer in answers(directory))
    MESSAGES.write_text(text, encoding="utf-8")
