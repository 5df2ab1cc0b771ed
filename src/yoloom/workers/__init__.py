"""Worker processes: an engine behind a process boundary, each lane of which is one process that may die.

```
parent                                                     worker, one for each lane and generation
 caller ─▶ Engine: queue, deadlines, turns, counts
             │ lane's thread                  image
             ├─ slot (shared memory) ════════════════════▶ decode ─▶ letterbox ─▶ execute ─▶ heads, NMS
             ├─ channel (one socket pair) ◀═════════════▶  request, detections
             │                              heartbeat
           Supervisor: starts, watches, replaces ◀═══════  signs of life
```
"""
