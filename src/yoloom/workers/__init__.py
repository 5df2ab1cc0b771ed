"""An engine behind a process boundary that may die: each lane is one worker process.

```
parent                                                     worker, one for each lane and generation
 caller ─▶ Engine: queue, deadlines, turns, counts
             │ lane's thread                  image
             ├─ slot (shared memory) ════════════════════▶ decode ─▶ letterbox ─▶ execute ─▶ heads, NMS
             ├─ channel (one socket pair) ◀═════════════▶  question, findings
             │                                board
           Supervisor: starts, watches, replaces ◀═══════  signs of life
```
"""
