// Knows its own call graph: `truth MODE`, without end. No function is inlined; time is spent in
// burn(), in the runtime, or in the kernel, as the mode says.
package main

import (
	"os"
	"sort"
	"syscall"
)

var sink uint64

//go:noinline
func burn(rounds int) {
	for i := 0; i < rounds; i++ {
		sink += uint64(i)
	}
}

//go:noinline
func inner(rounds int) int {
	burn(rounds)
	return int(sink & 3)
}

//go:noinline
func recurse(depth int) int {
	if depth == 0 {
		return inner(2000) + 1
	}
	return recurse(depth-1) + 1
}

//go:noinline
func less(a, b int) bool {
	inner(50)
	return a < b
}

//go:noinline
func sorting() int {
	values := make([]int, 256)
	for i := range values {
		values[i] = (i * 7919) % 256
	}
	sort.Slice(values, func(i, j int) bool { return less(values[i], values[j]) })
	return values[0]
}

// Without a frame of its own.
//
//go:noinline
func leaf(a int) int {
	return a*3 + 1
}

//go:noinline
func leaves() int {
	sum := 0
	for i := 0; i < 100000; i++ {
		sum += leaf(i)
	}
	return sum
}

// Time in the runtime's assembly, which keeps no frame.
//
//go:noinline
func copying(from, to []byte) int {
	for i := 0; i < 64; i++ {
		copy(to, from)
	}
	return int(to[0])
}

type tree struct {
	left, right *tree
}

//go:noinline
func grow(depth int) *tree {
	if depth == 0 {
		return &tree{}
	}
	return &tree{grow(depth - 1), grow(depth - 1)}
}

//go:noinline
func reading(file int, space []byte) int {
	sum := 0
	for i := 0; i < 1000; i++ {
		count, _ := syscall.Read(file, space)
		sum += count
	}
	return sum
}

//go:noinline
func worker() {
	for {
		sink += uint64(recurse(10))
	}
}

//go:noinline
func pinger(in, out chan int) {
	for value := range in {
		out <- value + inner(200)
	}
}

//go:noinline
func talking() int {
	in, out := make(chan int), make(chan int)
	go pinger(in, out)
	sum := 0
	for i := 0; i < 1000; i++ {
		in <- i
		sum += <-out
	}
	close(in)
	return sum
}

//go:noinline
func once(mode string, file int, from, to []byte) int {
	switch mode {
	case "recurse":
		return recurse(20)
	case "deep":
		return recurse(100)
	case "sort":
		return sorting()
	case "leaves":
		return leaves()
	case "copy":
		return copying(from, to)
	case "allocate":
		if grow(14) != nil {
			return 1
		}
	case "syscalls":
		return reading(file, to)
	case "channels":
		return talking()
	}
	return 0
}

func main() {
	mode := "recurse"
	if len(os.Args) > 1 {
		mode = os.Args[1]
	}
	file, _ := syscall.Open("/dev/zero", syscall.O_RDONLY, 0)
	from, to := make([]byte, 1<<16), make([]byte, 1<<16)
	if mode == "goroutines" {
		for i := 0; i < 7; i++ {
			go worker()
		}
		worker()
	}
	for {
		sink += uint64(once(mode, file, from, to))
	}
}
