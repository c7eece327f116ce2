-- What the redis: store runs on the server: a batch of operations, at once
-- or not at all.
--
-- KEYS[1] is the lease of the process: a line "epoch:sequence:time" of its
-- last batch, and a line "epoch:sequence:time:results" of each of its last
-- two, the newest first.  A batch that does not follow the last one (one of a
-- connection given up, or one before which another failed) does nothing.
-- What a process has reserved is gone when its lease is not renewed in time.
--
-- ARGV[1] and ARGV[2] are how the lease begins before and after this batch,
-- ARGV[3] is the time or -1, a lease's length, whether keys expire, whether
-- all operations are plain (on counters of units alone), how many there are;
-- then these: a letter, a number, how many windows, and what belongs to each.
-- The other KEYS are taken in the order in which operations name them.
local call, unpack = redis.call, unpack
local read, pack, sub = struct.unpack, struct.pack, string.sub
local was, is, blob = ARGV[1], ARGV[2], ARGV[3]
local now, lease_ms, expire, plain, nops, at = read('<ddBBH', blob)
local values, key_at = call('MGET', unpack(KEYS)), 1
local had, me = values[1], sub(KEYS[1], -16)

if not had or sub(had, 1, #was) ~= was then
	return redis.error_reply('STALE')
end
if now < 0 then
	local t = call('TIME')
	now = t[1] * 1000 + math.floor(t[2] / 1000)
end

local function key() key_at = key_at + 1 return KEYS[key_at] end
local function slot(t, w) local x = t * 60 return (x - x % w) / w end
local function leaves(i, w) return math.ceil((i + 61) * w / 60) end

-- Does the process still keep its lease?
local alive = {}
alive[me] = true
local function lives(p)
	if alive[p] == nil then
		local v = call('GET', sub(KEYS[1], 1, -17) .. p)
		local t = v and tonumber(string.match(v, '^[^:]*:[^:]*:(%d+)'))
		alive[p] = t ~= nil and t + lease_ms > now
	end
	return alive[p]
end

-- Counters of units: the newest slot h, the sum s of the window, what the
-- newest slot has of it, and how many processes have reservations; of each,
-- its name and how much (p: ours, o: the others'); and the older slots, the
-- oldest first: how much older than h, and what counted in them.
local units = {}

-- Who died has nothing.
local function bury(c)
	local left, o = {}, 0
	for a = 1, #c.others, 24 do
		local p, n = read('<c16d', c.others, a)
		if n > 0 and lives(p) then
			left[#left + 1] = sub(c.others, a, a + 23)
			o = o + n
		end
	end
	if o < c.o then c.dirty = true end
	if #left * 24 < #c.others then c.fresh = true end
	c.others, c.o = table.concat(left), o
end

-- A newer slot begins: drops what has left the window.
local function move(c, h)
	local left, s, by, cur = {}, 0, h - c.h, c.cur
	for a = 1, #c.tail, 8 do
		local d, n = read('<BI7', c.tail, a)
		if d + by <= 60 then
			left[#left + 1] = pack('<BI7', d + by, n)
			s = s + n
		end
	end
	if cur > 0 and by <= 60 then
		left[#left + 1] = pack('<BI7', by, cur)
		s = s + cur
	end
	c.h, c.s, c.cur, c.tail, c.fresh = h, s, 0, table.concat(left), true
	if c.others ~= '' then bury(c) end
end

local function unit(w)
	local k = key()
	local c = units[k]
	if c then return c end
	local h, v = now * 60, values[key_at]
	h = (h - h % w) / w
	c = { key = k, w = w, h = h, s = 0, cur = 0, p = 0, o = 0, np = 0, others = '',
		tail = '', fresh = not v, dirty = false }
	units[k] = c
	if not v then return c end
	local np, a
	c.h, c.s, c.cur, np, a = read('<dddH', v)
	c.np = np
	for i = 1, np do
		local p, n = read('<c16d', v, a)
		if p == me then c.p = n
		else c.others, c.o = c.others .. sub(v, a, a + 23), c.o + n end
		a = a + 24
	end
	c.tail = sub(v, a)
	if h > c.h then move(c, h) end
	return c
end

local function when(c, want)
	local n, i = 0, c.h
	for a = 1, #c.tail, 8 do
		local d, m = read('<BI7', c.tail, a)
		n = n + m
		if n >= want then i = c.h - d break end
	end
	return leaves(i, c.w) - now
end

-- Whether it is full, what is used, how long until it fits.
local function fits(c, max, want)
	local used = c.s + c.p + c.o
	if want > max then return true, used, c.w end
	if want == 0 or used + want <= max then return false, used, 0 end
	bury(c)
	used = c.s + c.p + c.o
	if used + want <= max then return false, used, 0 end
	return true, used, when(c, used + want - max)
end

local function reserve(c, n)
	c.p, c.dirty = c.p + n, true
end

local function release(c, n)
	if n > c.p then n = c.p end
	if n ~= 0 then reserve(c, -n) end
end

local function count(c, n)
	if n ~= 0 then c.s, c.cur, c.dirty = c.s + n, c.cur + n, true end
end

-- Gives back what counted in slot i.
local function take(c, i, n)
	local by, tail = c.h - i, {}
	if by <= 0 then
		if n > c.cur then n = c.cur end
		return count(c, -n)
	end
	for a = 1, #c.tail, 8 do
		local d, have = read('<BI7', c.tail, a)
		if d == by then
			if n > have then n = have end
			c.s, have = c.s - n, have - n
		end
		if have > 0 then tail[#tail + 1] = pack('<BI7', d, have) end
	end
	c.tail, c.fresh, c.dirty = table.concat(tail), true, true
end

-- The key of a long window lives long enough from the first touch of a slot;
-- our own place stays until then, so that nothing shrinks meanwhile.
local function flush(c)
	if not c.dirty then return end
	if c.s <= 0 and c.p <= 0 and c.o <= 0 then call('DEL', c.key) return end
	local w, np = c.w, 1 + #c.others / 24
	local v = pack('<dddHc16d', c.h, c.s, c.cur, np, me, c.p) .. c.others
	if not c.fresh and (w >= 3600000 or not expire) then
		call('SETRANGE', c.key, '0', np == c.np and v or v .. c.tail)
	elseif expire then
		local more = (c.p + c.o > 0 or w >= 3600000) and 3600000 or 1000
		call('SET', c.key, v .. c.tail, 'PX', math.floor(w * 61 / 60) + more)
	else call('SET', c.key, v .. c.tail) end
end

-- What belongs to members is made below, where it is needed.
local set_window, set_fits, set_hold, set_release, set_lacks, set_count, set_flush

-- One window of an operation: its counter, how many may be, how many more, what
-- must fit besides, and the member: '' for units, '*' for anybody.
local function window()
	local w, max, cost, room, m
	w, max, cost, room, m, at = read('<ddddBc0', blob, at)
	if m == '' then return unit(w), max, cost, room, m end
	return set_window(w, max, cost, room, m)
end

local ops = {}

-- All windows or none.
function ops.R(_, n)
	local at_first, key_first, over = at, key_at, nil
	local index, used, retry = 0, 0, -1
	for i = 1, n do
		local c, max, cost, room, m = window()
		local full, u, t
		if m == '' then full, u, t = fits(c, max, cost + room)
		else full, u, t = set_fits(c, max, m, room) end
		if t > retry then index, used, retry = i - 1, u, t end
		if full then
			over = over or {}
			over[i] = true
		elseif m == '' then reserve(c, cost)
		else set_hold(c, m) end
	end
	if not over then return '0', index, used, retry end
	at, key_at = at_first, key_first
	for i = 1, n do
		local c, _, cost, _, m = window()
		if over[i] then
		elseif m == '' then release(c, cost)
		else set_release(c, m) end
	end
	return '1', index, used, retry
end

-- What was reserved counts; forced or not, where a lease has run out.
function ops.C(forced, n)
	local at_first, key_first, refused = at, key_at, false
	if forced == 0 then
		for _ = 1, n do
			local c, max, cost, _, m = window()
			if m ~= '' then
				refused = refused or (set_lacks(c, m) and set_fits(c, max, m, 0))
			elseif cost > c.p then
				refused = refused or fits(c, max, cost - c.p)
			end
		end
		if refused then return '2' end
		at, key_at = at_first, key_first
	end
	for _ = 1, n do
		local c, _, cost, _, m = window()
		if m == '' then
			release(c, cost)
			count(c, cost)
		else set_count(c, m) end
	end
	return '0'
end

-- Reservations given back, or what counted at a time; a member that was
-- counted stays, for it may have been there before.
function ops.G(back, n)
	for _ = 1, n do
		local c, _, cost, _, m = window()
		if m == '' then
			if back < 0 then release(c, cost) else take(c, slot(back, c.w), cost) end
		elseif back < 0 then set_release(c, m) end
	end
	return '0'
end

function ops.N(_, n)
	for _ = 1, n do
		local c, _, cost, _, m = window()
		if m == '' then count(c, cost)
		elseif m ~= '*' then
			set_hold(c, m)
			set_count(c, m)
		end
	end
	return '0'
end


local sets, texts = {}, {}
if plain == 0 then
	-- Counters of members: a sorted set of the slots in which they were seen
	-- last, infinite for who is reserved; a hash says by whom, and the slot.
	local mine = 'p' .. me

	local function set(w)
		local k, hk = key(), key()
		local c = sets[k]
		if c then return c end
		local h = tonumber(call('HGET', hk, 'h'))
		c = { key = k, hk = hk, w = w, h = math.max(slot(now, w), h or 0), n = 0 }
		if h then
			call('ZREMRANGEBYSCORE', k, '-inf', c.h - 61)
			c.n = call('ZCARD', k)
		end
		sets[k] = c
		return c
	end

	local function let_go(c, m, p)
		if call('HINCRBY', c.hk, p .. m, -1) <= 0 then call('HDEL', c.hk, p .. m) end
		c.dirty = true
		if call('HINCRBY', c.hk, 'n' .. m, -1) > 0 then return end
		local b = tonumber(call('HGET', c.hk, 'b' .. m) or nil)
		call('HDEL', c.hk, 'n' .. m, 'b' .. m)
		if b and b >= c.h - 60 then call('ZADD', c.key, b, m)
		else
			call('ZREM', c.key, m)
			c.n = c.n - 1
		end
	end

	local function set_bury(c)
		local all = call('HGETALL', c.hk)
		for i = 1, #all, 2 do
			local f = all[i]
			if sub(f, 1, 1) == 'p' and not lives(sub(f, 2, 17)) then
				for _ = 1, tonumber(all[i + 1]) do
					let_go(c, sub(f, 18), sub(f, 1, 17))
				end
			end
		end
	end

	local function set_when(c, want)
		local i = c.h
		local v = call('ZRANGE', c.key, want - 1, want - 1, 'WITHSCORES')
		local k = tonumber(v[2])
		if k and k <= c.h then i = k end
		return leaves(i, c.w) - now
	end

	local function there(c, m)
		return c.n > 0 and call('ZSCORE', c.key, m)
	end

	-- '*' asks the counter of members where there is one, else that of units.
	function set_window(w, max, cost, room, m)
		if m ~= '*' then return set(w), max, cost, room, m end
		if sets[KEYS[key_at + 2]] or call('EXISTS', KEYS[key_at + 3]) == 1 then
			key_at = key_at + 1
			return set(w), max, cost, room, m
		end
		local c = unit(w)
		key_at = key_at + 2
		return c, max, cost, room, ''
	end

	function set_fits(c, max, m, room)
		local want = room + ((m == '*' or there(c, m)) and 0 or 1)
		if want > max then return true, c.n, c.w end
		if want == 0 or c.n + want <= max then return false, c.n, 0 end
		set_bury(c)
		if c.n + want <= max then return false, c.n, 0 end
		return true, c.n, set_when(c, c.n + want - max)
	end

	function set_hold(c, m)
		if m == '*' then return end
		c.dirty = true
		if call('HINCRBY', c.hk, 'n' .. m, 1) == 1 then
			local s = there(c, m)
			if s then call('HSET', c.hk, 'b' .. m, s) else c.n = c.n + 1 end
			call('ZADD', c.key, '+inf', m)
		end
		call('HINCRBY', c.hk, mine .. m, 1)
	end

	function set_lacks(c, m)
		return m ~= '*' and call('HEXISTS', c.hk, mine .. m) == 0
	end

	function set_release(c, m)
		if m ~= '*' and not set_lacks(c, m) then let_go(c, m, mine) end
	end

	function set_count(c, m)
		if m == '*' then return end
		if set_lacks(c, m) then set_hold(c, m) end
		call('HSET', c.hk, 'b' .. m, c.h)
		let_go(c, m, mine)
	end

	function set_flush(c)
		if not c.dirty then return end
		if c.n <= 0 then call('DEL', c.key, c.hk) return end
		call('HSET', c.hk, 'h', c.h)
		if expire then
			local ms = math.floor(c.w * 61 / 60) + 3600000
			call('PEXPIRE', c.key, ms)
			call('PEXPIRE', c.hk, ms)
		end
	end

	-- The reservation of one window is more by that much, or less.
	function ops.A(by, n)
		local which
		which, at = read('<H', blob, at)
		for i = 1, n do
			local c = window()
			if i == which then
				if by < 0 then release(c, -by) else reserve(c, by) end
			end
		end
		return '0'
	end

	function ops.P()
		local c, max, cost, room, m = window()
		local full, used, retry
		if m == '' then full, used, retry = fits(c, max, cost + room)
		else full, used, retry = set_fits(c, max, m, room) end
		return full and '1' or '0', 0, used, retry
	end

	-- How many are used, of units (0) or members (1).
	function ops.U(w, kind)
		if kind == 0 then
			local c = unit(w)
			bury(c)
			return '0', 0, c.s + c.p + c.o
		end
		local c = set(w)
		set_bury(c)
		return '0', 0, c.n
	end

	-- Empties a counter; who is reserved stays.
	function ops.X(w, kind)
		if kind == 0 then
			local c = unit(w)
			local before = c.s
			c.s, c.cur, c.tail, c.fresh, c.dirty = 0, 0, '', true, true
			return before > 0 and '1' or '0'
		end
		local c = set(w)
		local before = c.n
		call('ZREMRANGEBYSCORE', c.key, '-inf', c.h)
		for _, f in ipairs(call('HKEYS', c.hk)) do
			if sub(f, 1, 1) == 'b' then call('HDEL', c.hk, f) end
		end
		c.n, c.dirty = call('ZCARD', c.key), true
		return before > 0 and '1' or '0'
	end

	-- Notes: how long they stay, and what they say.
	function ops.W(left)
		local text, k
		text, at = read('<Hc0', blob, at)
		k = key()
		if left <= 0 then return call('DEL', k) == 1 and '0' or '1' end
		if expire then call('SET', k, text, 'PX', left) else call('SET', k, text) end
		return '0'
	end

	function ops.V()
		local text = call('GET', key())
		if not text then return '1' end
		texts[#texts + 1] = text
		return '0'
	end
end

local out, codes = {}, {}
for i = 1, nops do
	local letter, first, n
	letter, first, n, at = read('<c1dH', blob, at)
	local code, index, used, retry = ops[letter](first, n)
	out[i] = pack('<c1ddd', code, index or 0, used or 0, retry or 0)
	codes[i] = code
end
for _, c in pairs(units) do flush(c) end
for _, c in pairs(sets) do set_flush(c) end
local head = is .. string.format('%.0f', now)
call('SET', KEYS[1], head .. '\n' .. head .. ':' .. table.concat(codes) ..
	(string.match(had, '\n[^\n]*') or ''), 'PX', '86400000')
return { table.concat(out), unpack(texts) }
