-- What the redis: store runs on the server: a batch of operations, at once
-- or not at all.
--
-- KEYS[1] is the lease of the process: lines "epoch:sequence:time:results" of
-- its last two batches, the newest first.  A batch that does not follow the
-- last one (one of a connection given up, or one before which another failed)
-- does nothing.  What a process has reserved is gone when its lease is not
-- renewed in time.
--
-- ARGV[1] and ARGV[2] are how the lease begins before and after this batch,
-- ARGV[3] is the time or -1, a lease's length, whether keys expire, and how
-- many operations there are; then these: a letter, a number, how many windows,
-- and what belongs to each.  The other KEYS are taken in the order in which
-- operations name them.
local call, unpack = redis.call, unpack
local read, pack, sub = struct.unpack, struct.pack, string.sub
local was, is, blob = ARGV[1], ARGV[2], ARGV[3]
local now, lease_ms, expire, nops, at = read('<ddBH', blob)
local keys, key_at = KEYS, 1
local values = call('MGET', unpack(keys))
expire = expire == 1
local had, me = values[1], sub(keys[1], -16)

if not had or sub(had, 1, #was) ~= was then
	return redis.error_reply('STALE')
end
if now < 0 then
	local t = call('TIME')
	now = t[1] * 1000 + (t[2] - t[2] % 1000) / 1000
end

-- A server makes all functions anew for each batch: those that reservations
-- and commits of units seldom need, where everything fits, are made by slow().
local slow

-- Counters of units.  A key has the number h of the newest slot, the sum s of
-- the window and what the newest slot has of it; how many processes have a
-- place, and of each, the writer first, its name and what it has reserved (p:
-- we, o: the others); and the older slots, the oldest first: how much older
-- than h, and what counted in them (in c.v, from c.from on).
local units = {}

local function unit(w)
	key_at = key_at + 1
	local k, v, h = keys[key_at], values[key_at], now * 60
	local c = units[k]
	if c then return c end
	h = (h - h % w) / w
	c = { w = w, h = h, s = 0, cur = 0, p = 0, o = 0, others = '', v = '', from = 1,
		whole = true, dirty = false }
	units[k] = c
	if not v then return c end
	local n, p
	c.h, c.s, c.cur, n, p, c.p = read('<dddHc16d', v)
	c.v, c.from, c.whole = v, 27 + 24 * n, p ~= me
	if n > 1 or c.whole and c.p > 0 then slow().places(c) end
	if h > c.h then slow().move(c, h) end
	return c
end

-- One window of an operation: its counter, how many may be, how many more, what
-- must fit besides, and the member: '' for units, '*' for anybody.
local function window()
	local w, max, cost, room, m
	w, max, cost, room, m, at = read('<ddddBc0', blob, at)
	if m == '' then return unit(w), max, cost, room, m end
	return slow().set_window(w, max, cost, room, m)
end

-- All windows or none.
local function reserve(_, n)
	local at_first, key_first, over = at, key_at, nil
	local index, used, retry = 0, 0, -1
	for i = 1, n do
		local c, max, cost, room, m = window()
		local full, u, t = false, 0, 0
		if m ~= '' then full, u, t = slow().set_fits(c, max, m, room)
		else
			u = c.s + c.p + c.o
			if u + cost + room > max then full, u, t = slow().fits(c, max, cost + room) end
		end
		if t > retry then index, used, retry = i - 1, u, t end
		if full then
			over = over or {}
			over[i] = true
		elseif m ~= '' then slow().hold(c, m)
		elseif cost > 0 then c.p, c.dirty = c.p + cost, true end
	end
	if not over then return '0', index, used, retry end
	at, key_at = at_first, key_first
	for i = 1, n do
		local c, _, cost, _, m = window()
		if not over[i] then slow().release(c, cost, m) end
	end
	return '1', index, used, retry
end

-- What was reserved counts; forced or not, where a lease has run out.
local function commit(forced, n)
	local at_first, key_first, refused = at, key_at, false
	if forced == 0 then
		for _ = 1, n do
			local c, max, cost, _, m = window()
			if m ~= '' or cost > c.p then
				refused = refused or not slow().may_commit(c, max, cost, m)
			end
		end
		if refused then return '2' end
		at, key_at = at_first, key_first
	end
	for _ = 1, n do
		local c, _, cost, _, m = window()
		if m ~= '' then slow().set_count(c, m)
		elseif cost > 0 then
			c.p = cost < c.p and c.p - cost or 0
			c.s, c.cur, c.dirty = c.s + cost, c.cur + cost, true
		end
	end
	return '0'
end

local made

function slow()
	if made then return made end
	made = {}
	local ops, sets, texts, alive = {}, {}, {}, { [me] = true }

	local function key() key_at = key_at + 1 return keys[key_at] end
	local function slot(t, w) local x = t * 60 return (x - x % w) / w end
	local function leaves(i, w) return math.ceil((i + 61) * w / 60) end

	-- Does the process still keep its lease?
	local function lives(p)
		if alive[p] == nil then
			local v = call('GET', sub(keys[1], 1, -17) .. p)
			local t = v and tonumber(string.match(v, '^[^:]*:[^:]*:(%d+)'))
			alive[p] = t ~= nil and t + lease_ms > now
		end
		return alive[p]
	end

	-- Who else has reserved something; other places are given up.
	function made.places(c)
		local left = {}
		c.p = 0
		for a = 27, c.from - 24, 24 do
			local p, n = read('<c16d', c.v, a)
			if p == me then c.p = n
			elseif n > 0 then
				left[#left + 1] = sub(c.v, a, a + 23)
				c.o = c.o + n
			else c.whole = true end
		end
		c.others = table.concat(left)
	end

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
		if #left * 24 < #c.others then c.whole, c.dirty = true, true end
		c.others, c.o = table.concat(left), o
	end

	-- A newer slot begins: drops what has left the window.
	function made.move(c, h)
		local left, s, by, cur = {}, 0, h - c.h, c.cur
		for a = c.from, #c.v, 8 do
			local d, n = read('<BI7', c.v, a)
			if d + by <= 60 then
				left[#left + 1] = pack('<BI7', d + by, n)
				s = s + n
			end
		end
		if cur > 0 and by <= 60 then
			left[#left + 1] = pack('<BI7', by, cur)
			s = s + cur
		end
		c.h, c.s, c.cur, c.v, c.from, c.whole = h, s, 0, table.concat(left), 1, true
		bury(c)
	end

	local function when(c, want)
		local n, i = 0, c.h
		for a = c.from, #c.v, 8 do
			local d, m = read('<BI7', c.v, a)
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
	made.fits = fits

	-- Gives back what counted in slot i.
	local function take(c, i, n)
		local by, left = c.h - i, {}
		c.dirty = true
		if by <= 0 then
			if n > c.cur then n = c.cur end
			c.s, c.cur = c.s - n, c.cur - n
			return
		end
		for a = c.from, #c.v, 8 do
			local d, have = read('<BI7', c.v, a)
			if d == by then
				if n > have then n = have end
				c.s, have = c.s - n, have - n
			end
			if have > 0 then left[#left + 1] = pack('<BI7', d, have) end
		end
		c.v, c.from, c.whole = table.concat(left), 1, true
	end

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
	function made.set_window(w, max, cost, room, m)
		if m ~= '*' then return set(w), max, cost, room, m end
		if sets[keys[key_at + 2]] or call('EXISTS', keys[key_at + 3]) == 1 then
			key_at = key_at + 1
			return set(w), max, cost, room, m
		end
		local c = unit(w)
		key_at = key_at + 2
		return c, max, cost, room, ''
	end

	local function set_fits(c, max, m, room)
		local want = room + ((m == '*' or there(c, m)) and 0 or 1)
		if want > max then return true, c.n, c.w end
		if want == 0 or c.n + want <= max then return false, c.n, 0 end
		set_bury(c)
		if c.n + want <= max then return false, c.n, 0 end
		return true, c.n, set_when(c, c.n + want - max)
	end

	local function hold(c, m)
		if m == '*' then return end
		c.dirty = true
		if call('HINCRBY', c.hk, 'n' .. m, 1) == 1 then
			local s = there(c, m)
			if s then call('HSET', c.hk, 'b' .. m, s) else c.n = c.n + 1 end
			call('ZADD', c.key, '+inf', m)
		end
		call('HINCRBY', c.hk, mine .. m, 1)
	end

	local function lacks(c, m)
		return m ~= '*' and call('HEXISTS', c.hk, mine .. m) == 0
	end

	function made.set_count(c, m)
		if m == '*' then return end
		if lacks(c, m) then hold(c, m) end
		call('HSET', c.hk, 'b' .. m, c.h)
		let_go(c, m, mine)
	end

	function made.flush_sets()
		for _, c in pairs(sets) do
			if c.dirty and c.n <= 0 then call('DEL', c.key, c.hk)
			elseif c.dirty then
				call('HSET', c.hk, 'h', c.h)
				if expire then
					local ms = math.floor(c.w * 61 / 60) + 3600000
					call('PEXPIRE', c.key, ms)
					call('PEXPIRE', c.hk, ms)
				end
			end
		end
	end

	function made.release(c, cost, m)
		if m == '*' then return end
		if m ~= '' then
			if not lacks(c, m) then let_go(c, m, mine) end
		elseif c.p > 0 and cost > 0 then
			c.p, c.dirty = cost < c.p and c.p - cost or 0, true
		end
	end

	-- Of what was reserved something has run out: does it fit once more?
	function made.may_commit(c, max, cost, m)
		if m == '' then return not fits(c, max, cost - c.p) end
		return not lacks(c, m) or not set_fits(c, max, m, 0)
	end

	-- Reservations given back, or what counted at a time; a member that was
	-- counted stays, for it may have been there before.
	function ops.G(back, n)
		for _ = 1, n do
			local c, _, cost, _, m = window()
			if back < 0 then made.release(c, cost, m)
			elseif m == '' then take(c, slot(back, c.w), cost) end
		end
		return '0'
	end

	function ops.N(_, n)
		for _ = 1, n do
			local c, _, cost, _, m = window()
			if m == '' then c.s, c.cur, c.dirty = c.s + cost, c.cur + cost, true
			elseif m ~= '*' then
				hold(c, m)
				made.set_count(c, m)
			end
		end
		return '0'
	end

	-- The reservation of one window is more by that much, or less.
	function ops.A(by, n)
		local which
		which, at = read('<H', blob, at)
		for i = 1, n do
			local c, _, _, _, m = window()
			if i == which then
				if by < 0 then made.release(c, -by, m)
				else c.p, c.dirty = c.p + by, true end
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
			c.s, c.cur, c.v, c.from, c.whole, c.dirty = 0, 0, '', 1, true, true
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

	-- The same where there is none: "until:text" says whether there is.
	function ops.K(left)
		local there = call('GET', keys[key_at + 1])
		if not there or tonumber(string.match(there, '^%d+')) <= now then
			return ops.W(left)
		end
		local _
		_, at = read('<Hc0', blob, at)
		key()
		return '1'
	end

	function ops.V()
		local text = call('GET', key())
		if not text then return '1' end
		texts[#texts + 1] = text
		return '0'
	end

	made.hold, made.set_fits, made.ops, made.texts = hold, set_fits, ops, texts
	return made
end

local out, codes = {}, {}
for i = 1, nops do
	local letter, first, n
	letter, first, n, at = read('<c1dH', blob, at)
	local op = letter == 'R' and reserve or letter == 'C' and commit or slow().ops[letter]
	local code, index, used, retry = op(first, n)
	codes[i], out[i] = code, used and pack('<c1ddd', code, index, used, retry or 0) or code
end

-- The key of a long window lives long enough from the first touch of a slot;
-- until the next one nothing shrinks, and what changes is written alone.
for k, c in pairs(units) do
	local w, n = c.w, 1 + #c.others / 24
	if not c.dirty then
	elseif c.s <= 0 and c.p <= 0 and c.o <= 0 then call('DEL', k)
	else
		local v = pack('<dddHc16d', c.h, c.s, c.cur, n, me, c.p)
		if not c.whole and (w >= 3600000 or not expire) then call('SETRANGE', k, '0', v)
		else
			v = v .. c.others .. sub(c.v, c.from)
			if expire then
				local more = (c.p + c.o > 0 or w >= 3600000) and 3600000 or 1000
				call('SET', k, v, 'PX', math.floor(w * 61 / 60) + more)
			else call('SET', k, v) end
		end
	end
end
if made then made.flush_sets() end
call('SET', keys[1], is .. now .. ':' .. table.concat(codes) .. '\n' ..
	string.match(had, '^[^\n]*'), 'PX', '86400000')
if not made or #made.texts == 0 then return table.concat(out) end
return { table.concat(out), unpack(made.texts) }
