/* A library that is loaded late and calls back. */
__attribute__((noipa)) long nested(long (*back)(long), long rounds)
{
	return back(rounds) + 1;
}

__attribute__((noipa)) long plugin(long (*back)(long), long rounds)
{
	return nested(back, rounds) + 1;
}
