throw new RangeError("this file is broken on purpose");
