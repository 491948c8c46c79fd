// Package launch owns how the gateway is started: the handover by exec, and
// supervision as its init (signals, reaping, terminal, stop). It knows nothing of
// gateways, settings or pairing; it never logs and never exits: results and errors
// are values.
//
// # Exec
//
// [Exec] leaves nothing of us behind: dispositions and mask of signals and the
// limit on open files are those we were started with. One thing cannot be
// handed on: SIG_IGN inherited for a signal other than SIGHUP and SIGINT,
// because the Go runtime replaces it before main runs. Node resets these too.
//
// # Supervise
//
// [Start] reserves the threads that this process will need: the gateway may use up
// the processes. It caps GOMAXPROCS at 4 for that.
//
// [Start] makes the child in a process group of its own, as tini does, so that
// a Ctrl-C reaches it once: from the terminal when the child has it, otherwise
// through us. Descriptors 0, 1 and 2 are the child's own, untouched; nothing is
// piped. [Process.Run] is the one place that waits and forwards:
//
//	TERM, INT   to the child
//	HUP, QUIT   reach it as TERM: 2026.9.6 dies of HUP and leaves its owner lease
//	            behind; HUP and INT stay ignored if they were when we started (nohup)
//	USR1, USR2  only the one named as Options.RestartSignal, as is; the other is
//	            swallowed (on 2026.9.6 USR1 opens Node's inspector)
//	WINCH, CONT to the child's whole group, as a terminal would send them; on a
//	            terminal CONT only when the child is stopped
//	TSTP        never forwarded: the keyboard's reaches the child directly. When it
//	            stops the child we stop too, if there is a shell to resume us;
//	            where there is none (PID 1) the child is resumed at once
//	TTIN, TTOU  never forwarded: they speak of our own use of the terminal
//	CHLD, PIPE, URG never forwarded: ours, ours, and the Go scheduler's own
//	others      keep Go's default
//
// Every terminating signal is forwarded, a second one too: what it means is the
// gateway's decision. SIGKILL is only sent when Options.StopTimeout says so: a
// drain may take 330 s, and a killed gateway leaves a lease that keeps the next
// container out for five minutes.
//
// Orphans are reaped as PID 1, or as a child subreaper where we are not. When
// the child ends, Run returns at once, whoever else is left: as PID 1 the
// kernel ends the rest with us, elsewhere they go to the next reaper.
//
// The child gets no parent-death signal. It is bound to the thread that forked,
// which the Go runtime may end at any time, and if somebody does kill us with
// SIGKILL a gateway that keeps running is the lesser harm.
//
// # Jobs
//
// [RunJob] runs a program to its end before there is a child, [Process.RunJob] beside
// it: there Run alone waits, and hands over how the job ended.
package launch
